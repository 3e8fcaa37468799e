# SPDX-License-Identifier: Apache-2.0
"""The majority class: what labels alone are worth."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from rspipe.evaluate.classification.probes.base import Constant, Fitted, Labelled, Probe
from rspipe.evaluate.encoders import Gives
from rspipe.recipe import Strict


class MajorityProbe(Probe):
    """The commonest class of the train part for every image; at a tie the first class."""

    name: ClassVar[str] = "majority"
    reads: ClassVar[Gives] = "labels"
    rule: ClassVar[str] = "the commonest class of the train part for every image"

    @property
    def settings(self) -> Strict:
        """None."""
        return Strict()

    @property
    def input_name(self) -> str:
        """Nothing."""
        return "no pixel"

    def fit(self, train: Labelled, validation: Labelled, seeds: Sequence[int]) -> list[Fitted]:
        """Count the labels."""
        counts = np.bincount(train.joined(validation).labels, minlength=train.n_classes)
        return [Constant(int(counts.argmax()))]
