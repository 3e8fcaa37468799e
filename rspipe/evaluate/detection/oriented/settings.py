# SPDX-License-Identifier: Apache-2.0
"""The dials of Oriented R-CNN and of its training; the defaults are the published recipe.

Source: mmrotate's oriented_rcnn le90 configuration, trained as MTP (arXiv:2403.13430) and
SelectiveMAE (arXiv:2406.11933) train it on DIOR-R.
"""

from typing import Annotated

from pydantic import Field

from rspipe.evaluate.detection.tuning.settings import Count, DetectorTuning, Positive, Share
from rspipe.recipe import Strict


class ProposalSettings(Strict):
    """First stage: which anchors learn, which boxes go on."""

    anchor_scale: Annotated[float, Field(gt=0)] = 8.0
    """Side of a square anchor, in strides of its level."""
    anchor_ratios: tuple[Annotated[float, Field(gt=0)], ...] = (0.5, 1.0, 2.0)
    """Heights over widths; all anchors of a level have one area."""
    positive_iou: Share = 0.7
    """Of anchor and an object's hull."""
    negative_iou: Share = 0.3
    least_best_iou: Share = 0.3
    """An object's best anchors learn it too, if they overlap it so much."""
    border_px: float | None = 0.0
    """Anchors that reach further out of the image do not learn; null: all do."""
    samples: Count = 256
    """Anchors per image that learn."""
    positive_share: Share = 0.5
    """At most so many of them on objects."""
    before_nms: Count = 2000
    """Best boxes of each level."""
    nms_iou: Share = 0.8
    """Of hulls."""
    kept: Count = 2000
    """Boxes per image that go on."""


class RegionSettings(Strict):
    """Second stage: what the boxes of the first are and where exactly."""

    bins: Count = 7
    """Cells of the pooled features, down and across."""
    hidden: Count = 1024
    """Width of the two linear layers."""
    positive_iou: Share = 0.5
    """Of rotated boxes."""
    samples: Count = 512
    """Boxes per image that learn."""
    positive_share: Share = 0.25
    score_threshold: Annotated[float, Field(ge=0, lt=1)] = 0.05
    nms_iou: Share = 0.1
    """Of rotated boxes, within a class."""
    kept: Count = 2000
    """Detections per image."""


class OrientedSettings(Strict):
    """Both stages and the neck before them."""

    width: Count = 256
    """Channels of every level of the feature pyramid network."""
    proposals: ProposalSettings = ProposalSettings()
    regions: RegionSettings = RegionSettings()


class OrientedTuning(DetectorTuning):
    """Oriented R-CNN on the four-tap pyramid, encoder and detector trained together."""

    flip_share: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Of the training images: a third each is mirrored sideways, upside down, and both."""
    most_norm: Positive | None = 35.0
    """Gradients are clipped to it, as mmrotate's schedules do; null: they are not."""
    detector: OrientedSettings = OrientedSettings()
