"""First stage of Faster R-CNN: torchvision's region proposals under mmdet's rules."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from rspipe.evaluate.boxes.assignment import NOTHING, UNDECIDED, assign
from rspipe.evaluate.horizontal.settings import ProposalSettings


class TrueStrideAnchors(AnchorGenerator):  # type: ignore[misc]  # torchvision has no types
    """Anchors of real-valued sides, a level's own stride apart.

    torchvision rounds sides to pixels, and takes the stride of a level for image // map: 61 px
    instead of 64 for the 13 x 13 map of an 800 px image.
    """

    def __init__(self, strides_px: tuple[float, ...], settings: ProposalSettings) -> None:
        sides = tuple((settings.anchor_scale * stride,) for stride in strides_px)
        super().__init__(sides, (settings.anchor_ratios,) * len(strides_px))
        self.strides_px = strides_px

    def generate_anchors(
        self,
        scales: tuple[float, ...],
        aspect_ratios: tuple[float, ...],
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> Float[Tensor, "a 4"]:
        """Make the anchors of one place, around (0, 0); `aspect_ratios` are heights over widths."""
        roots = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        shapes = torch.stack([1 / roots, roots], dim=1)
        halves = (shapes[:, None] * sides[None, :, None]).flatten(0, 1) / 2
        return torch.cat([-halves, halves], dim=1)

    def forward(
        self, image_list: ImageList, feature_maps: list[Float[Tensor, "B C h w"]]
    ) -> list[Float[Tensor, "A 4"]]:
        """Lay anchors over all levels; the images share them."""
        device = feature_maps[0].device
        self.set_cell_anchors(torch.float32, device)
        strides = [[torch.tensor(stride, device=device)] * 2 for stride in self.strides_px]
        sizes = [list(one.shape[-2:]) for one in feature_maps]
        return [torch.cat(self.grid_anchors(sizes, strides))] * len(image_list.image_sizes)


class BestIfEnough(Matcher):  # type: ignore[misc]
    """An object's best anchors learn it, but only if they overlap it enough.

    torchvision's matcher has no such limit.
    """

    BELOW_LOW_THRESHOLD = NOTHING
    BETWEEN_THRESHOLDS = UNDECIDED

    def __init__(self, settings: ProposalSettings) -> None:
        super().__init__(settings.positive_iou, settings.negative_iou)
        self.least_best_iou = settings.least_best_iou

    def __call__(self, match_quality_matrix: Float[Tensor, "g n"]) -> Int[Tensor, " n"]:
        """Give each box an object, `NOTHING` or `UNDECIDED`."""
        return assign(
            match_quality_matrix.T, self.high_threshold, self.low_threshold, self.least_best_iou
        )


class Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """One 3 × 3 convolution and two linear outputs, shared by all levels.

    Source: Ren et al. 2015, arXiv:1506.01497; see the package for what is torchvision's and what
    is not.
    """

    def __init__(
        self, width: int, strides_px: Mapping[str, float], settings: ProposalSettings
    ) -> None:
        super().__init__(
            TrueStrideAnchors(tuple(strides_px.values()), settings),
            RPNHead(width, len(settings.anchor_ratios)),
            settings.positive_iou,
            settings.negative_iou,
            settings.samples,
            settings.positive_share,
            {"training": settings.before_nms, "testing": settings.before_nms_at_test},
            {"training": settings.kept, "testing": settings.kept},
            settings.nms_iou,
        )
        self.proposal_matcher = BestIfEnough(settings)

    def compute_loss(
        self,
        objectness: Float[Tensor, "n 1"],
        pred_bbox_deltas: Float[Tensor, "n 4"],
        labels: list[Float[Tensor, " A"]],
        regression_targets: list[Float[Tensor, "A 4"]],
    ) -> tuple[Tensor, Tensor]:
        """Binary cross-entropy and L1 (torchvision: smooth) of drawn anchors, over their number."""
        here, nowhere = (torch.cat(part).nonzero()[:, 0] for part in self.fg_bg_sampler(labels))
        drawn = torch.cat([here, nowhere])
        found = F.binary_cross_entropy_with_logits(
            objectness.flatten()[drawn], torch.cat(labels)[drawn]
        )
        wanted = torch.cat(regression_targets)[here]
        placed = F.l1_loss(pred_bbox_deltas[here], wanted, reduction="sum")
        return found, placed / max(1, len(drawn))
