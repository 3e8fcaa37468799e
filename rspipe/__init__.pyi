# SPDX-License-Identifier: Apache-2.0
from rspipe.corpus.reader import Corpus as Corpus
from rspipe.errors import RspipeError as RspipeError
from rspipe.models.encoder import Encoder as Encoder

__version__: str
__all__ = ["Corpus", "Encoder", "RspipeError", "__version__"]
