# SPDX-License-Identifier: Apache-2.0
"""Public remote-sensing datasets in; a clean corpus, an encoder and a score out.

`import rspipe` offers the two artefacts that others open, and the error they may raise; they are
imported when they are first asked for, so that a corpus can be read without torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Corpus", "Encoder", "RspipeError", "__version__"]

_HOMES = {
    "Corpus": "rspipe.corpus.reader",
    "Encoder": "rspipe.models.encoder",
    "RspipeError": "rspipe.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
