# SPDX-License-Identifier: Apache-2.0
"""The dials of detectors that propose boxes and then judge them, horizontal or oriented."""

from typing import Annotated

from pydantic import Field

from rspipe.evaluate.detection.tuning.settings import Count, Positive, Share
from rspipe.recipe import Strict


class ProposalSettings(Strict):
    """First stage: which anchors learn, which boxes go on."""

    anchor_scale: Positive = 8.0
    """Side of a square anchor, in strides of its level."""
    anchor_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)
    """Heights over widths; all anchors of a level have one area."""
    positive_iou: Share = 0.7
    """Of an anchor and an object; of an oriented one, its hull."""
    negative_iou: Share = 0.3
    least_best_iou: Share = 0.3
    """An object's best anchors learn it too, if they overlap it so much."""
    samples: Count = 256
    """Anchors per image that learn."""
    positive_share: Share = 0.5
    """At most so many of them on objects."""
    before_nms: Count = 2000
    """Best boxes of each level that meet non-maximum suppression."""
    nms_iou: Share = 0.7
    kept: Count = 1000
    """Boxes per image that go on."""


class RegionSettings(Strict):
    """Second stage: what the boxes of the first are and where exactly."""

    bins: Count = 7
    """Cells of the pooled features, down and across."""
    hidden: Count = 1024
    """Width of the two linear layers."""
    positive_iou: Share = 0.5
    samples: Count = 512
    """Boxes per image that learn."""
    positive_share: Share = 0.25
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.05
    nms_iou: Share = 0.5
    """Within a class."""
    kept: Count = 100
    """Detections per image, all classes together."""
