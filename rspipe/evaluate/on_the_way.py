# SPDX-License-Identifier: Apache-2.0
"""A look at an encoder that is still being trained: nearest neighbours on one labelled set.

Pre-training calls it as a hook and knows nothing of evaluation; the command line brings the two
together.
"""

import tempfile
from pathlib import Path

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.evaluate.benchmarks import Skipped, list_benchmark
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probing import Classification
from rspipe.evaluate.config import Bootstrap, What
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.models.backbone import Backbone
from rspipe.recipe import nearest_name

# The value is wanted, not its interval: the least that the bootstrap takes.
_WHAT = What(bootstrap=Bootstrap(resamples=2))
_IMAGES_PER_PASS = 64


class NearestNeighbours:
    """Overall accuracy of the `knn` protocol, with its defaults and mean-pooled features.

    Args:
        data: folder whose subfolders are data sets in their published layouts.
        benchmark: name of one of them.
        every_steps: of the run that asks.

    Raises:
        RecipeError: there is no such data set, or it is none of classification.
    """

    def __init__(self, data: Path, benchmark: str, every_steps: int) -> None:
        folder = data / benchmark
        if not folder.is_dir():
            there = [p.name for p in data.iterdir() if p.is_dir()] if data.is_dir() else []
            raise RecipeError(f"probe: {folder}: no such folder{nearest_name(benchmark, there)}")
        found = list_benchmark(folder, card_for(folder), _WHAT)
        if isinstance(found, Skipped) or found.task != "classification":
            reason = found.reason if isinstance(found, Skipped) else f"it is of {found.task}"
            raise RecipeError(f"probe: {folder}: want a set of classification; {reason}")
        self.every_steps = every_steps
        self._benchmark = found

    def __call__(self, step: int, encoder: Backbone) -> dict[str, float]:
        """Score the encoder, on the device it is on; `step` names it only."""
        device = next(encoder.parameters()).device
        knn = Classification(PROBES["knn"], _WHAT, device)
        with tempfile.TemporaryDirectory() as folder:
            cache = TokenCache(Path(folder), _WHAT.features_dtype, _IMAGES_PER_PASS, device)
            judged = {"now": Judged(encoder, f"step {step}")}
            made = extract_tokens(self._benchmark, judged, frozenset(), cache)
            scores = knn.run(made.benchmark, made.features["now"])
        return {f"knn/{self._benchmark.name}": scores.value}
