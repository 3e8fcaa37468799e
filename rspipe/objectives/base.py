# SPDX-License-Identifier: Apache-2.0
"""What the trainer knows of a method: images in, a plan, a loss out.

`plan` chooses what is seen and what is predicted; it is cheap, has no gradient, and is the only
part with randomness. `forward` is a pure function of weights, images and plan: it is what gets
compiled, checkpointed and wrapped for many GPUs. A method is written by saying how it plans and
predicts; whoever has another target, error or second loss overrides `targets`, `error`, `losses`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rspipe.models.encoder import Encoder, EncoderConfig, gather_tokens
from rspipe.models.patches import patchify, unpatchify
from rspipe.objectives.draws import Draws
from rspipe.objectives.masking import others
from rspipe.objectives.targets import Normalise, patch_statistics
from rspipe.recipe import Strict

Order = Callable[
    [Float[Tensor, "B C H W"], Draws, Int[Tensor, "B H W"] | None], Float[Tensor, "B N"]
]
"""Images, draws and regions in; a number in [0, 1) per patch out. The smallest become visible
first, and a patch with an infinite one never does."""


@dataclass(frozen=True)
class Plan:
    """What becomes of each patch; a patch in neither list is ignored.

    V is the number of masked views: B images times the objective's `views`, those of one image
    next to each other.
    """

    ids_keep: Int[Tensor, "V K"]
    """Patches the encoder sees."""
    ids_predict: Int[Tensor, "V M"]
    """Patches the decoder must predict."""


@dataclass(frozen=True)
class Step:
    """What one forward pass gives."""

    loss: Float[Tensor, ""]
    loss_per_image: Float[Tensor, " B"]
    terms: dict[str, Float[Tensor, ""]]
    """The parts that the loss is the sum of, without gradient."""


@dataclass(frozen=True)
class Reconstruction:
    """What a method makes of some images, for people to look at; images are normalised."""

    visible: Float[Tensor, "B C H W"]
    """Hidden pixels are 0, the mean colour."""
    filled: Float[Tensor, "B C H W"]
    """Visible and predicted patches; ignored ones are 0."""
    predicted: Bool[Tensor, "B h w"]
    """True where a patch was predicted."""


class Objective(nn.Module, ABC):
    """A pre-training method. It owns the encoder and whatever else learns."""

    name: ClassVar[str]
    Config: ClassVar[type[Strict]]
    encoder: Encoder
    normalise: Normalise
    order: Order
    kept: int
    """Patches that one view shows, K."""

    lr_scale: float = 1.0
    """Factor on the recipe's learning rate that the method asks for."""
    views: int = 1
    """Masked views of each image in a step."""
    seeds: int = 0
    """How many of the kept patches, the first ones, were chosen before the others."""
    needs_regions: bool = False
    """Whether `plan` must be given a map of regions."""

    def __init__(self, encoder: EncoderConfig, normalise: Normalise) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.normalise = normalise
        self.order = self._random_order

    @property
    def shown(self) -> int:
        """Patches that the views of an image show together."""
        return self.kept

    @abstractmethod
    def plan(
        self,
        images: Float[Tensor, "B C H W"],
        progress: float,
        draws: Draws,
        regions: Int[Tensor, "B H W"] | None = None,
    ) -> Plan:
        """Choose what is seen and what is predicted; no gradient is taken.

        Args:
            images: normalised.
            progress: share of the run that is done, 0..1: the only clock.
            draws: the only source of randomness.
            regions: number of the region that each pixel belongs to, -1 for none; read only by
                an order that wants it.
        """

    @abstractmethod
    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M T"]:
        """Predict the wanted patches from the kept ones alone, in the order of `ids_predict`."""

    @abstractmethod
    def macs_per_image(self) -> int:
        """Count the multiply-accumulates of a forward pass over one image, all its views."""

    def targets(
        self, images: Float[Tensor, "V C H W"], ids: Int[Tensor, "V M"]
    ) -> Float[Tensor, "V M T"]:
        """Say what some patches should be predicted as: their pixels, standardised if so set."""
        patches = gather_tokens(patchify(images, self.encoder.config.patch_px), ids)
        if self.normalise == "none":
            return patches
        mean, std = self._statistics(patches)
        return (patches - mean) / std

    def error(
        self, predicted: Float[Tensor, "V M T"], wanted: Float[Tensor, "V M T"]
    ) -> Float[Tensor, " V"]:
        """Say how far a prediction is from its target: the mean square."""
        return (predicted - wanted).square().mean(dim=(1, 2))

    def losses(
        self, images: Float[Tensor, "B C H W"], plan: Plan
    ) -> dict[str, Float[Tensor, " V"]]:
        """Say how wrong each view is, in parts that are summed: the error where predicted."""
        views = self._per_view(images)
        predicted = self.predict(views, plan).float()
        return {"reconstruction": self.error(predicted, self.targets(views, plan.ids_predict))}

    def forward(self, images: Float[Tensor, "B C H W"], plan: Plan) -> Step:
        """Sum the parts of the loss, and average over views and images."""
        losses = self.losses(images, plan)
        total = torch.stack(list(losses.values())).sum(dim=0)
        per_image = total.reshape(len(images), self.views).mean(dim=1)
        terms = {name: loss.detach().mean() for name, loss in losses.items()}
        return Step(per_image.mean(), per_image, terms)

    @torch.no_grad()
    def reconstruct(self, images: Float[Tensor, "B C H W"], plan: Plan) -> Reconstruction:
        """Show what is seen and what is predicted, in the first view of each image.

        Standardised targets carry no mean or contrast; both are borrowed from the true patch, as
        the released figures of MAE do. So judge structure, not colour.
        """
        first = Plan(plan.ids_keep[:: self.views], plan.ids_predict[:: self.views])
        grid, patch_px = self.encoder.config.grid, self.encoder.config.patch_px
        true = patchify(images, patch_px)
        predicted = self.predict_pixels(images, first)
        visible = true.scatter(1, _widen(others(first.ids_keep, true.shape[1]), true), 0.0)
        filled = visible.scatter(1, _widen(first.ids_predict, true), predicted)
        mask = torch.zeros(true.shape[:2], dtype=torch.bool, device=true.device)
        return Reconstruction(
            visible=unpatchify(visible, grid, patch_px),
            filled=unpatchify(filled, grid, patch_px),
            predicted=mask.scatter(1, first.ids_predict, value=True).reshape(-1, *grid),
        )

    def predict_pixels(
        self, images: Float[Tensor, "B C H W"], plan: Plan
    ) -> Float[Tensor, "B M P"]:
        """Turn what is predicted into normalised pixels, for pictures."""
        predicted = self.predict(images, plan).float()
        if self.normalise == "none":
            return predicted
        true = gather_tokens(patchify(images, self.encoder.config.patch_px), plan.ids_predict)
        mean, std = self._statistics(true)
        return predicted * std + mean

    def _statistics(
        self, patches: Float[Tensor, "B N P"]
    ) -> tuple[Float[Tensor, "B N #P"], Float[Tensor, "B N #P"]]:
        bands = self.encoder.config.in_chans if self.normalise == "patch_band" else 1
        return patch_statistics(patches, bands)

    def _random_order(
        self, images: Float[Tensor, "B C H W"], draws: Draws, regions: Tensor | None
    ) -> Float[Tensor, "B N"]:
        return draws.uniform(self.encoder.config.patches)

    def _per_view(self, values: Float[Tensor, "B ..."]) -> Float[Tensor, "V ..."]:
        return values if self.views == 1 else values.repeat_interleave(self.views, dim=0)


def _widen(ids: Int[Tensor, "B K"], patches: Float[Tensor, "B N P"]) -> Int[Tensor, "B K P"]:
    return ids[:, :, None].expand(-1, -1, patches.shape[2])
