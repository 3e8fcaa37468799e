"""Stochastic depth for fine-tuning an encoder that was built without it."""

from timm.layers import DropPath
from timm.models.vision_transformer import VisionTransformer


def set_drop_path(vit: VisionTransformer, rate: float) -> None:
    """Let blocks drop their branches in training, from rate 0 at the first to `rate` at the last.

    Source: Huang et al. 2016, arXiv:1603.09382, linear decay rule, as timm applies it.
    """
    last = max(len(vit.blocks) - 1, 1)
    for number, block in enumerate(vit.blocks):
        block.drop_path1 = DropPath(rate * number / last)
        block.drop_path2 = DropPath(rate * number / last)
