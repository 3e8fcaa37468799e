# SPDX-License-Identifier: Apache-2.0
"""The dials of Oriented R-CNN and of its training; the defaults are the published recipe.

Source: mmrotate's oriented_rcnn le90 configuration, trained as MTP (arXiv:2403.13430) and
SelectiveMAE (arXiv:2406.11933) train it on DIOR-R.
"""

from typing import Annotated

from pydantic import Field

from rspipe.evaluate.detection.tuning.settings import Count, DetectorTuning, Positive, Share
from rspipe.evaluate.detection.tuning.two_stage import ProposalSettings, RegionSettings
from rspipe.recipe import Strict


class OrientedProposalSettings(ProposalSettings):
    """First stage: horizontal anchors, oriented boxes."""

    border_px: float | None = 0.0
    """Anchors that reach further out of the image do not learn; null: all do."""
    nms_iou: Share = 0.8
    """Of hulls."""
    kept: Count = 2000
    """Boxes per image that go on."""


class OrientedRegionSettings(RegionSettings):
    """Second stage: overlaps are those of rotated boxes."""

    nms_iou: Share = 0.1
    """Of rotated boxes, within a class."""
    kept: Count = 2000
    """Detections per image."""


class OrientedSettings(Strict):
    """Both stages and the neck before them."""

    width: Count = 256
    """Channels of every level of the feature pyramid network."""
    proposals: OrientedProposalSettings = OrientedProposalSettings()
    regions: OrientedRegionSettings = OrientedRegionSettings()


class OrientedTuning(DetectorTuning):
    """Oriented R-CNN on the four-tap pyramid, encoder and detector trained together."""

    flip_share: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Of the training images: a third each is mirrored sideways, upside down, and both."""
    most_norm: Positive | None = 35.0
    """Gradients are clipped to it, as mmrotate's schedules do; null: they are not."""
    detector: OrientedSettings = OrientedSettings()
