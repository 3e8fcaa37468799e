# SPDX-License-Identifier: Apache-2.0
"""The dials of fine-tuning an encoder on scenes."""

from typing import Annotated, Literal

from pydantic import Field

from rspipe.recipe import Strict

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class FineTuning(Strict):
    """Defaults are the recipe of MAE (He et al. 2022, arXiv:2111.06377, table 9) for ViT-B.

    With these rates and sizes SelectiveMAE (arXiv:2406.11933) released it for AID and RESISC-45.
    """

    img_px: Count | None = 224
    """Side of the images, a multiple of the patch; null: the encoder's own. At another size its
    positions are interpolated. Test images: shorter side to 256/224 of it, then the centre."""
    epochs: Count = 100
    warmup_epochs: NotNegative = 5
    """Linear, from 0; then half a cosine to `min_lr`, step by step."""
    images_per_step: Annotated[int, Field(ge=2)] = 1024
    """Of one optimizer step; a smaller train part makes smaller steps. What is left of an epoch
    behind its last whole step is not seen in it."""
    images_per_pass: Annotated[int, Field(ge=2)] = 256
    """So many go through the network at once; gradients of a step are added up."""
    base_lr: Positive = 1e-3
    """Per 256 images of a step: the peak rate is base_lr x images_per_step / 256."""
    min_lr: NotNegative = 1e-6
    weight_decay: NotNegative = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Learning rate of a block over that of the block behind it."""
    drop_path: Share = 0.1
    """Of the last block; falls linearly to 0 at the first."""
    augment: bool = True
    """Random crops, mirroring and RandAugment in training; false: as test images."""
    rand_augment: str | None = "rand-m9-mstd0.5-inc1"
    """In timm's notation: magnitude 9, its deviation 0.5; null: none."""
    erase: Share = 0.25
    """Share of training images of which a rectangle is replaced by noise."""
    mixup: NotNegative = 0.8
    """Alpha; 0: off. A step is mixed by mixup or by CutMix, at even odds where both are on."""
    cutmix: NotNegative = 1.0
    smoothing: Share = 0.1
    """Of labels."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's products; the loss is float32."""
    seeds: Count = 3
    """Trainings; the score is the mean over them, their spread stands apart."""
