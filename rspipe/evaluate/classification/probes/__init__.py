# SPDX-License-Identifier: Apache-2.0
"""Probes of frozen features, for classification. `PROBES` is the whole list."""

from rspipe.evaluate.classification.probes.attentive import AttentiveProbing
from rspipe.evaluate.classification.probes.base import Probe
from rspipe.evaluate.classification.probes.efficient import EfficientProbing
from rspipe.evaluate.classification.probes.knn import KnnProbe, WhitenedKnnProbe
from rspipe.evaluate.classification.probes.linear import LinearProbe
from rspipe.evaluate.classification.probes.logistic import LogisticProbe
from rspipe.evaluate.classification.probes.majority import MajorityProbe

PROBES: dict[str, type[Probe]] = {
    probe.name: probe
    for probe in (
        MajorityProbe,
        KnnProbe,
        WhitenedKnnProbe,
        LogisticProbe,
        LinearProbe,
        EfficientProbing,
        AttentiveProbing,
    )
}
"""By name; each is a protocol of classification, and any can draw an n-shot curve."""

__all__ = ["PROBES", "Probe"]
