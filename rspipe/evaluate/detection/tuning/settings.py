# SPDX-License-Identifier: Apache-2.0
"""The dials of training a detector together with its encoder."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rspipe.recipe import Strict

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class DetectorTuning(Strict):
    """Defaults are those of MTP (arXiv:2403.13430) and SelectiveMAE (arXiv:2406.11933) on DIOR."""

    img_px: Count | None = 800
    """Side of the square that images are scaled into, a multiple of the patch; null: the
    encoder's own. At another size its positions are interpolated."""
    crop_px: Count | None = None
    """Side of the square windows that stand for images, in pixels as published: one around an
    object drawn from each training image in each epoch, a grid of them over each test image, as
    is usual where images are large and objects small (DOTA); null: whole images."""
    stride_px: Count | None = None
    """Between test windows; null: three quarters of a window."""
    epochs: Count = 12
    images_per_step: Count = 4
    lr: Positive = 1e-4
    drops: tuple[Share, ...] = (8 / 12, 11 / 12)
    """Shares of the training at which the rate falls to a tenth."""
    warmup_steps: Annotated[int, Field(ge=0)] = 500
    """Linear, from a millionth of the rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Learning rate of a block over that of the block behind it."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Of the last block; falls linearly to 0 at the first."""
    flip_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of the training images: so many are mirrored left to right."""
    most_norm: Positive | None = None
    """Gradients are clipped to it; null: they are not."""
    frozen: bool = False
    """Whether the encoder stays as it is and only what is behind it learns."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's products, in training and at test; boxes, scores and losses are float32."""

    @model_validator(mode="after")
    def _leaves_no_gaps(self) -> Self:
        if self.stride_px is not None and self.stride_px > (self.crop_px or 0):
            raise ValueError(
                f"stride_px={self.stride_px} with crop_px={self.crop_px}: windows would leave "
                "gaps; want a stride of at most a window"
            )
        return self
