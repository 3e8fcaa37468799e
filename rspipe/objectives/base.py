"""What the trainer knows of a method: images in, a loss out.

A method says which patches are seen and predicted (`plan`) and predicts them (`predict`); the
rest is written once, here. Anything with another loss, target or number of views overrides
`forward` or `targets`; a wrapper holds another objective and forwards to it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rspipe.models.encoder import Encoder, EncoderConfig, gather_tokens
from rspipe.objectives.masking import others
from rspipe.objectives.targets import patch_statistics, patchify, unpatchify
from rspipe.recipe import Strict


@dataclass(frozen=True)
class Plan:
    """What becomes of each patch of each image; a patch in neither list is ignored."""

    ids_keep: Int[Tensor, "B K"]
    """Patches the encoder sees."""
    ids_predict: Int[Tensor, "B M"]
    """Patches the decoder must predict."""


@dataclass(frozen=True)
class Step:
    """What one forward pass gives."""

    loss: Float[Tensor, ""]
    loss_per_image: Float[Tensor, " B"]
    logs: dict[str, float]
    """Further numbers worth a curve."""
    plan: Plan


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
    """A pre-training method. It owns the encoder and whatever else learns.

    Randomness comes from the generator of the step and time from `progress` alone, so a step is a
    pure function of weights, images, progress and seed.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Strict]]

    lr_scale: float = 1.0
    """Factor on the recipe's learning rate that the method asks for."""

    def __init__(self, encoder: EncoderConfig, normalise_targets: bool) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.normalise_targets = normalise_targets

    @abstractmethod
    def plan(
        self, images: Float[Tensor, "B C H W"], progress: float, generator: torch.Generator
    ) -> Plan:
        """Choose what is seen and what is predicted.

        Args:
            images: normalised.
            progress: share of the run that is done, 0..1.
            generator: on the CPU; the only source of randomness.
        """

    @abstractmethod
    def predict(self, images: Float[Tensor, "B C H W"], plan: Plan) -> Float[Tensor, "B M P"]:
        """Predict the wanted patches from the kept ones alone, in the order of `ids_predict`."""

    @abstractmethod
    def macs_per_image(self) -> int:
        """Count the multiply-accumulates of a forward pass over one image."""

    def targets(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N P"]:
        """Say what each patch should be predicted as: its pixels, standardised if so set."""
        patches = patchify(images, self.encoder.config.patch_px)
        if not self.normalise_targets:
            return patches
        mean, std = patch_statistics(patches)
        return (patches - mean) / std

    def forward(
        self, images: Float[Tensor, "B C H W"], progress: float, generator: torch.Generator
    ) -> Step:
        """Mean squared error over the predicted patches, and nothing else."""
        plan = self.plan(images, progress, generator)
        prediction = self.predict(images, plan).float()
        target = gather_tokens(self.targets(images), plan.ids_predict)
        loss_per_image = (prediction - target).square().mean(dim=(1, 2))
        return Step(loss_per_image.mean(), loss_per_image, {}, plan)

    @torch.no_grad()
    def reconstruct(
        self, images: Float[Tensor, "B C H W"], progress: float, generator: torch.Generator
    ) -> Reconstruction:
        """Show what is seen and what is predicted.

        Standardised targets carry no mean or contrast; both are borrowed from the true patch, as
        the released figures of MAE do. So judge structure, not colour.
        """
        plan = self.plan(images, progress, generator)
        grid, patch_px = self.encoder.config.grid, self.encoder.config.patch_px
        true = patchify(images, patch_px)
        predicted = self.predict(images, plan).float()
        if self.normalise_targets:
            mean, std = patch_statistics(gather_tokens(true, plan.ids_predict))
            predicted = predicted * std + mean
        hidden = others(plan.ids_keep, true.shape[1])
        visible = true.scatter(1, _widen(hidden, true), 0.0)
        filled = visible.scatter(1, _widen(plan.ids_predict, true), predicted)
        mask = torch.zeros(true.shape[:2], dtype=torch.bool, device=true.device)
        return Reconstruction(
            visible=unpatchify(visible, grid, patch_px),
            filled=unpatchify(filled, grid, patch_px),
            predicted=mask.scatter(1, plan.ids_predict, value=True).reshape(-1, *grid),
        )


def _widen(ids: Int[Tensor, "B K"], patches: Float[Tensor, "B N P"]) -> Int[Tensor, "B K P"]:
    return ids[:, :, None].expand(-1, -1, patches.shape[2])
