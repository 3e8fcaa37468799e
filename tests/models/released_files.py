# SPDX-License-Identifier: Apache-2.0
"""Checkpoints as they are published, made from tiny models of ours, for tests."""

import torch

from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import MAE, CrossMAE, SelectiveMAE
from rspipe.objectives.cross_mae import CrossMAEConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig

TINY = EncoderConfig(
    img_px=32, patch_px=8, width=24, depth=2, heads=3, timm_name="vit_base_patch16_224"
)
DECODER = {"decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2}

# Ours: theirs, as the released programs write it; the longest fitting start counts.
THEIRS = {
    "encoder.vit.": "",
    "decoder.mask_token": "mask_token",
    "decoder.positions": "decoder_pos_embed",
    "decoder.embed.": "decoder_embed.",
    "decoder.blocks.": "decoder_blocks.",
    "decoder.norm.": "decoder_norm.",
    "decoder.predict.": "decoder_pred.",
    "mix.weights.": "wfm.linear.",
    "mix.norms.": "dec_norms.",
}
# Built by the released SelectiveMAE program and used for nothing (the filters are fixed).
DEAD = (
    "get_token_probs.0.norm1.weight",
    "get_token_probs.1.bias",
    "get_token_probs_linear.weight",
    "pos_embed_probs",
    "decoder_embed1.weight",
    "decoder_embed1.bias",
    "hog.weight_x",
    "hog.weight_y",
    "hog.gkern",
)


def make_objective(layout, encoder=TINY):
    """An objective of random weights, every parameter other than it starts."""
    cls, config = {
        "mae": (MAE, MAEConfig),
        "cross_mae": (CrossMAE, CrossMAEConfig),
        "selective_mae": (SelectiveMAE, SelectiveMAEConfig),
    }[layout]
    torch.manual_seed(5)
    objective = cls(config(**DECODER), encoder).eval()
    with torch.no_grad():
        for name, parameter in objective.named_parameters():
            if not name.endswith("pos_embed") and not (
                layout == "cross_mae" and ".vit.norm" in name
            ):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


def released_state(objective, layout):
    """Its tensors under the names of the released program, dead ones included."""
    state = {}
    for name, tensor in objective.state_dict().items():
        if layout == "cross_mae" and ".vit.norm." in name:
            continue  # the released program has no final norm
        start = next(ours for ours in THEIRS if name.startswith(ours))
        state[THEIRS[start] + name.removeprefix(start)] = tensor.clone()
    if layout == "selective_mae":
        state |= {name: torch.randn(3) for name in DEAD}
    return state
