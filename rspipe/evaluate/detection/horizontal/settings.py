# SPDX-License-Identifier: Apache-2.0
"""The dials of the detectors of horizontal boxes and of their training."""

from typing import Annotated, Literal

from pydantic import Field

from rspipe.evaluate.detection.tuning.settings import Count, DetectorTuning, Positive, Share
from rspipe.evaluate.detection.tuning.two_stage import ProposalSettings, RegionSettings
from rspipe.recipe import Strict


class HorizontalProposalSettings(ProposalSettings):
    """First stage of Faster R-CNN."""

    before_nms: Count = 2000
    """Best boxes of each level, in training."""
    before_nms_at_test: Count = 1000


class FasterRCNNSettings(Strict):
    """Both stages and the pyramid before them."""

    pyramid: Literal["four", "last", "simple"] = "four"
    """Where the levels come from. `four`: the protocol's four taps, adapter and FPN; `last`: the
    same layers fed four times from the last block; `simple`: ViTDet's pyramid of the last block,
    without FPN."""
    width: Count = 256
    """Channels of every level."""
    proposals: HorizontalProposalSettings = HorizontalProposalSettings()
    regions: RegionSettings = RegionSettings()


class FasterRCNNTuning(DetectorTuning):
    """Faster R-CNN, encoder and detector trained together.

    Source: the released configuration of SelectiveMAE (arXiv:2406.11933) for DIOR, MTP's too.
    """

    detector: FasterRCNNSettings = FasterRCNNSettings()


class SetLossSettings(Strict):
    """Weights of matching and of the losses of what was matched, the same for both."""

    class_weight: Positive = 2.0
    box_weight: Positive = 1.0
    """L1 of box deltas; the paper's 5 is of plain coordinates."""
    overlap_weight: Positive = 2.0
    """Generalised IoU."""


class PlainDETRSettings(Strict):
    """The decoder, its queries and its losses."""

    width: Count = 256
    """A multiple of 4 and of the heads."""
    heads: Count = 8
    layers: Count = 6
    hidden: Count = 2048
    """Width inside the feed-forward networks."""
    bias_hidden: Count = 512
    """Width inside the networks of the box bias."""
    bias_scale: Literal["linear", "log8"] = "linear"
    """Of the distances that they read; see `box_bias.BoxBias`."""
    anchor_cells: Positive = 4.0
    """Side of the square around a cell that its proposal moves, in cells."""
    queries: Count = 300
    """That learn one to one; all that there are at test. Never more than the map has cells."""
    many_queries: Annotated[int, Field(ge=0)] = 1500
    """That learn one to many, in training alone; 0: none."""
    many_repeats: Count = 6
    """How often each object is there for them."""
    many_weight: Annotated[float, Field(ge=0)] = 1.0
    kept: Count = 100
    """Detections per image, all classes together."""
    loss: SetLossSettings = SetLossSettings()


class PlainDETRTuning(DetectorTuning):
    """Plain DETR, encoder and detector trained together.

    Source: arXiv:2308.01904, COCO; nobody has published it on DIOR.
    """

    images_per_step: Count = 16
    lr: Positive = 2e-4
    drops: tuple[Share, ...] = (11 / 12,)
    warmup_steps: Annotated[int, Field(ge=0)] = 1000
    most_norm: Positive | None = 0.1
    detector: PlainDETRSettings = PlainDETRSettings()
