# SPDX-License-Identifier: Apache-2.0
"""A small detector on frozen patch tokens: no anchors, no proposals, one dense head.

The map of tokens is standardised, reduced to a few channels, read by one 3 x 3 convolution,
enlarged twice, and read by two linear outputs: per location a score for each class, and the
distances to the four edges of the object it is in. So it tells whether frozen tokens hold what
and where things are. It is NOT Faster R-CNN or any detector of the literature: the encoder does
not learn, there is no pyramid, no augmentation and no second stage. Its AP compares encoders
with each other under this head, never with published tables.

Source: locations, edge distances and the smallest-object rule from FCOS (Tian et al. 2019,
arXiv:1904.01355, sec. 3.1), centre sampling from its journal version (arXiv:2006.09214); focal
loss (arXiv:1708.02002) and GIoU loss (arXiv:1902.09630) from torchvision. Differs: one level,
no centre-ness output; an object too small to hold a location takes the one nearest its centre.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.ops import batched_nms, generalized_box_iou_loss, sigmoid_focal_loss

from rspipe.evaluate.config import LinearDetector
from rspipe.models.encoder import seeded
from rspipe.progress import track

UPSCALE = 2
"""Locations per token and axis."""
CENTRE_RADIUS = 1.5
"""Locations this many strides around an object's centre learn it."""
BOX_WEIGHT = 1.0
PRIOR = 0.01
"""Score of every class before training, as in RetinaNet (arXiv:1708.02002, sec. 4.1)."""
MAX_CANDIDATES = 1000
MAX_FOUND = 100


@dataclass(frozen=True)
class Objects:
    """Objects of one image in location units: neighbouring locations are 1 apart."""

    boxes: Float[Tensor, "n 4"]
    """x0, y0, x1, y1."""
    labels: Int[Tensor, " n"]


class DenseHead(nn.Module):
    """Token maps to class scores and edge distances at every location."""

    def __init__(self, width_in: int, width: int, n_classes: int) -> None:
        super().__init__()
        self.scale = nn.BatchNorm2d(width_in, affine=False)
        self.stem = nn.Sequential(
            nn.Conv2d(width_in, width, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width * UPSCALE**2, 1),
            nn.PixelShuffle(UPSCALE),
            nn.GELU(),
        )
        self.classes = nn.Conv2d(width, n_classes, 1)
        self.edges = nn.Conv2d(width, 4, 1)
        prior = math.log(PRIOR / (1 - PRIOR))
        self.classes.bias = nn.Parameter(torch.full((n_classes,), prior))

    def forward(
        self, grids: Float[Tensor, "B D h w"]
    ) -> tuple[Float[Tensor, "B L K"], Float[Tensor, "B L 4"]]:
        """Return logits per class, and boxes in location units, at L = 4 h w locations."""
        maps = self.stem(self.scale(grids))
        logits = self.classes(maps).flatten(2).transpose(1, 2)
        # exp keeps distances positive; the clamp keeps the first steps finite.
        edges = self.edges(maps).flatten(2).transpose(1, 2).clamp(max=6).exp()
        centres = locations(maps.shape[2], maps.shape[3]).to(maps.device)
        return logits, torch.cat([centres - edges[..., :2], centres + edges[..., 2:]], dim=-1)


def locations(height: int, width: int) -> Float[Tensor, "L 2"]:
    """Centres x, y of all locations, row after row."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def assign(objects: Objects, centres: Float[Tensor, "L 2"]) -> Int[Tensor, " L"]:
    """Say which object each location learns, -1 for none; of several the smallest."""
    owner = torch.full((len(centres),), -1)
    boxes = objects.boxes
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in area.argsort(descending=True).tolist():
        middle = (boxes[i, :2] + boxes[i, 2:]) / 2
        offset = (centres - middle).abs().amax(dim=1)
        inside = ((centres > boxes[i, :2]) & (centres < boxes[i, 2:])).all(dim=1)
        mine = inside & (offset <= CENTRE_RADIUS)
        owner[mine if bool(mine.any()) else offset.argmin()] = i
    return owner


def detection_loss(
    logits: Float[Tensor, "B L K"],
    boxes: Float[Tensor, "B L 4"],
    wanted: list[tuple[Objects, Int[Tensor, " L"]]],
) -> Tensor:
    """Focal loss on all locations plus GIoU loss on those that own an object, per owner."""
    targets = torch.zeros_like(logits)
    predicted, true = [], []
    for image, (objects, owner) in enumerate(wanted):
        mine = owner >= 0
        targets[image, mine, objects.labels[owner[mine]]] = 1
        predicted.append(boxes[image, mine])
        true.append(objects.boxes[owner[mine]])
    count = max(1, sum(len(part) for part in true))
    focal = sigmoid_focal_loss(logits, targets, reduction="sum")
    giou = generalized_box_iou_loss(torch.cat(predicted), torch.cat(true), reduction="sum")
    loss: Tensor = (focal + BOX_WEIGHT * giou) / count
    return loss


def fit_head(
    grids: Float[Tensor, "n D h w"],
    objects: list[Objects],
    n_classes: int,
    settings: LinearDetector,
    seed: int,
    device: torch.device,
) -> DenseHead:
    """Train a head with AdamW and a cosine schedule."""
    with seeded(seed):
        head = DenseHead(grids.shape[1], settings.width, n_classes)
    head.scale.running_mean = grids.mean(dim=(0, 2, 3))
    head.scale.running_var = grids.var(dim=(0, 2, 3))
    head.eval().to(device)  # nothing but `scale` has a mode, and its statistics are final
    centres = locations(grids.shape[2] * UPSCALE, grids.shape[3] * UPSCALE)
    wanted = [(one, assign(one, centres)) for one in objects]
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    draws = torch.Generator().manual_seed(seed)
    for _ in track(range(settings.steps), "detection: fit", unit="step", leave=False):
        chosen = torch.randint(len(grids), (settings.images_per_step,), generator=draws)
        logits, boxes = head(grids[chosen].to(device))
        loss = detection_loss(logits, boxes, [_moved(wanted[i], device) for i in chosen.tolist()])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(head.parameters(), 10.0)
        optimiser.step()
        schedule.step()
    return head


@torch.inference_mode()
def detect(
    head: DenseHead,
    grid: Float[Tensor, "D h w"],
    settings: LinearDetector,
    device: torch.device,
) -> tuple[Float[Tensor, "n 4"], Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Find objects in one image: boxes in location units inside the map, classes, scores."""
    logits, boxes = head(grid[None].to(device))
    scores = logits[0].sigmoid().cpu()
    keep = (scores >= settings.score_threshold).nonzero()
    best = scores[keep[:, 0], keep[:, 1]].argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    place, label = keep[best].unbind(dim=1)
    height, width = grid.shape[1] * UPSCALE, grid.shape[2] * UPSCALE
    limits = torch.tensor([width, height, width, height])
    found = boxes[0].cpu()[place].clamp(min=torch.zeros(4), max=limits)
    kept = batched_nms(found, scores[place, label], label, settings.nms_iou)[:MAX_FOUND]
    return found[kept], label[kept], scores[place, label][kept]


def _moved(
    wanted: tuple[Objects, Int[Tensor, " L"]], device: torch.device
) -> tuple[Objects, Int[Tensor, " L"]]:
    objects, owner = wanted
    return Objects(objects.boxes.to(device), objects.labels.to(device)), owner.to(device)
