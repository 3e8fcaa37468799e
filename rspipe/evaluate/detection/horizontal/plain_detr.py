# SPDX-License-Identifier: Apache-2.0
"""Plain DETR: one map of a plain transformer, queries, no pyramid and no NMS."""

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rspipe.evaluate.detection.horizontal.decoder import DecoderLayer, groups_apart
from rspipe.evaluate.detection.horizontal.matching import Said, move, set_loss
from rspipe.evaluate.detection.horizontal.settings import PlainDETRSettings
from rspipe.evaluate.detection.tuning.objects import Detector, Found, Objects
from rspipe.models.backbone import Backbone
from rspipe.models.positions import sincos_positions

_PRIOR = 0.01
"""Score of every class before training, as in RetinaNet (arXiv:1708.02002, sec. 4.1)."""


class PlainDETR(Detector):
    """Proposals from every cell of the last block's map, refined by a decoder that sees all of it.

    The best cells' boxes become queries. Some learn one to one; in training, others learn one to
    many beside them, unseen by the first, and are gone at test. Each layer moves the box that the
    one before left, and attends with a bias from where each cell lies relative to that box.

    Source: Lin et al. 2023, arXiv:2308.01904; see the package for how we differ.
    """

    cell_places: Tensor
    anchors: Tensor

    def __init__(
        self, encoder: Backbone, n_classes: int, settings: PlainDETRSettings | None = None
    ) -> None:
        """Put a decoder on an encoder.

        Args:
            encoder: at the size of the images; see `Backbone.at_size`.
            n_classes: without "nothing".
            settings: None: the paper's.
        """
        super().__init__()
        self.settings = settings = settings or PlainDETRSettings()
        self.encoder = encoder
        width = settings.width
        self.project = nn.Sequential(
            nn.Linear(encoder.stages[-1].width, width), nn.LayerNorm(width)
        )
        places = sincos_positions(width, encoder.config.grid)[:, 1:]
        self.register_buffer("cell_places", places, persistent=False)
        self.register_buffer("anchors", self._make_anchors(), persistent=False)
        self.propose = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.is_object = _class_layer(width, 1)
        self.first_boxes = _box_layers(width)
        self.content = nn.Embedding(settings.queries + settings.many_queries, width)
        self.place = nn.Sequential(nn.Linear(2 * width, width), nn.LayerNorm(width))
        layers = range(settings.layers)
        grid, patch_px = encoder.config.grid, encoder.config.patch_px
        self.layers = nn.ModuleList(DecoderLayer(settings, grid, patch_px) for _ in layers)
        self.norm = nn.LayerNorm(width)
        self.classes = nn.ModuleList(_class_layer(width, n_classes) for _ in layers)
        self.boxes = nn.ModuleList(_box_layers(width) for _ in layers)

    def losses(
        self, images: Float[Tensor, "B C H W"], objects: Sequence[Objects]
    ) -> dict[str, Tensor]:
        """Losses of proposals and of both groups of queries, each summed over its stages."""
        settings = self.settings
        first, stages = self._run(images, settings.queries + settings.many_queries)
        plain = [Objects(one.boxes, torch.zeros_like(one.labels)) for one in objects]
        ones, many = slice(settings.queries), slice(settings.queries, None)
        found = {
            "proposals": set_loss(first, plain, settings.loss),
            "one_to_one": _sum(set_loss(s.part(ones), objects, settings.loss) for s in stages),
        }
        if stages[0].logits.shape[1] > settings.queries:
            times = settings.many_repeats
            copies = [Objects(o.boxes.repeat(times, 1), o.labels.repeat(times)) for o in objects]
            loss = _sum(set_loss(s.part(many), copies, settings.loss) for s in stages)
            found["one_to_many"] = settings.many_weight * loss
        return found

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B C H W"]) -> list[Found]:
        """Find objects: the best pairs of query and class, nothing suppressed."""
        last = self._run(images, self.settings.queries)[1][-1]
        K = last.logits.shape[2]
        scores, best = (
            last.logits.sigmoid()
            .flatten(1)
            .topk(min(self.settings.kept, last.logits[0].numel()), dim=1)
        )
        boxes = _pick(last.boxes, best // K)
        return [Found(*row) for row in zip(boxes, best % K, scores, strict=True)]

    def _run(self, images: Float[Tensor, "B C H W"], queries: int) -> tuple[Said, list[Said]]:
        """Say what proposals and each layer of the decoder see, of so many queries at most."""
        encoder = self.encoder
        (last,) = encoder.maps(images, (len(encoder.stages) - 1,))
        cells = self.project(last.flatten(2).transpose(1, 2))
        first = self._proposals(cells)
        best = first.logits[..., 0].topk(min(queries, cells.shape[1]), dim=1).indices
        boxes = _pick(first.boxes, best).detach()
        Q = boxes.shape[1]
        x = self.content.weight[:Q].expand(len(images), -1, -1)
        places = self.place(self._sines(boxes))
        apart = self._apart(Q)
        stages, before = [], boxes
        for number, layer in enumerate(self.layers):
            # The bias is the largest thing here, so a layer is run again rather than remembered.
            x = checkpoint(
                layer,
                x,
                places,
                boxes,
                apart,
                (cells + self.cell_places, cells),
                use_reentrant=False,
            )
            hidden = self.norm(x)
            deltas = self.boxes[number](hidden).float()
            # A box learns through the layer before it as well ("look forward twice", DINO).
            said = Said(self.classes[number](hidden).float(), deltas, boxes, move(before, deltas))
            stages.append(said)
            before = move(boxes, deltas)
            boxes = before.detach()
        return first, stages

    def _proposals(self, cells: Float[Tensor, "B N D"]) -> Said:
        hidden = self.propose(cells)
        anchors = self.anchors.expand(len(cells), -1, -1)
        deltas = self.first_boxes(hidden).float()
        return Said(self.is_object(hidden).float(), deltas, anchors, move(anchors, deltas))

    def _apart(self, queries: int) -> Tensor | None:
        many = queries - self.settings.queries
        if many <= 0:
            return None
        return groups_apart((self.settings.queries, many), self.anchors.device)

    def _make_anchors(self) -> Float[Tensor, "N 4"]:
        """Squares around the centres of all cells, row after row."""
        height, width = self.encoder.config.grid
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centres = torch.stack([x.flatten(), y.flatten()], dim=1) + 0.5
        half = self.settings.anchor_cells / 2
        corners = torch.cat([centres - half, centres + half], dim=1)
        return corners * self.encoder.config.patch_px

    def _sines(self, boxes: Float[Tensor, "B Q 4"]) -> Float[Tensor, "B Q D2"]:
        """Encode centres and sides, in shares of the image, by sines of many wavelengths."""
        height, width = self.encoder.config.size_px
        size = boxes.new_tensor([width, height])
        middle, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
        values = torch.cat([middle / size, sides / size], dim=-1) * 2 * math.pi
        count = self.settings.width // 4
        rates = 10000 ** (-torch.arange(count, device=boxes.device) / count)
        angles = (values[..., None] * rates).flatten(2)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _pick(values: Float[Tensor, "B n 4"], places: Int[Tensor, "B m"]) -> Float[Tensor, "B m 4"]:
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[2]))


def _class_layer(width: int, n_classes: int) -> nn.Linear:
    layer = nn.Linear(width, n_classes)
    nn.init.constant_(layer.bias, -math.log((1 - _PRIOR) / _PRIOR))
    return layer


def _box_layers(width: int) -> nn.Sequential:
    """Three layers that say "do not move" before training."""
    last = nn.Linear(width, 4)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last
    )


def _sum(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()
