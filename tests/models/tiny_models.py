# SPDX-License-Identifier: Apache-2.0
"""Models of timm's families, each small enough for a test."""

from rspipe.models.timm_encoder import TimmConfig, TimmEncoder

_VIT = {"img_size": 64, "patch_size": 16, "embed_dim": 24, "depth": 4, "num_heads": 2}

FAMILIES = {
    "vit": ("vit_tiny_patch16_224", _VIT),
    "registers": ("vit_small_patch14_reg4_dinov2", _VIT),
    "registers_no_class_token": ("vit_betwixt_patch16_reg4_gap_256", _VIT),
    "no_class_token": ("vit_base_patch16_siglip_gap_224", _VIT),
    "dinov3": ("vit_small_patch16_dinov3", _VIT),
    "eva": ("eva02_tiny_patch14_224", _VIT),
    "parallel": ("vit_pwee_patch16_reg1_gap_256", _VIT),
    "distilled": ("deit_tiny_distilled_patch16_224", _VIT),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 64, "window_size": 2, "embed_dim": 8, "depths": (1, 1, 1, 1)}
        | {"num_heads": (1, 2, 2, 2)},
    ),
    "convnext": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}),
    "resnet": ("resnet18", {"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)}),
    "hiera": (
        "hiera_tiny_224",
        {"img_size": (64, 64), "embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)},
    ),
    "pvt": ("pvt_v2_b0", {"embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2)}),
}


def config_of(family: str) -> TimmConfig:
    """Describe a model that reads 64 x 64 px."""
    name, arguments = FAMILIES[family]
    return TimmConfig(
        timm_name=name,
        model_args=dict(arguments),
        img_px=64,
        bands=("red", "green", "blue"),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
    )


def tiny(family: str, seed: int = 0) -> TimmEncoder:
    """Make it, with random weights."""
    return TimmEncoder.build(config_of(family), seed)
