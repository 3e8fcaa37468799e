# SPDX-License-Identifier: Apache-2.0
"""Continued pre-training: an objective starts from weights that are there already."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from rspipe.errors import WeightsError
from rspipe.models.checkpoint import Checkpoint, open_checkpoint
from rspipe.models.encoder import EncoderConfig
from rspipe.models.positions import resize_positions
from rspipe.models.released import ENCODER, LAYOUTS
from rspipe.models.weights import LoadReport, compare
from rspipe.objectives.base import Objective

_POSITIONS = ENCODER + "pos_embed"
_DECODER_POSITIONS = "decoder.positions"
_FINAL_NORM = (ENCODER + "norm.weight", ENCODER + "norm.bias")
# What a card says of an encoder and what must be so for its weights to mean the same.
_SAME = ("patch_px", "width", "depth", "heads", "in_chans", "bands", "mean", "std")


def initialise_from(
    objective: Objective, path: Path, encoder_only: bool = False, resize: bool = False
) -> LoadReport:
    """Load a released checkpoint, or the result of a run, into an objective before it trains.

    The trainer calls it once, after `build` and before the first step, on every process alike; a
    resumed run has its own checkpoint and must not call it. Optimiser and step start anew.

    Args:
        objective: freshly built, on any device. Untouched where the weights do not fit.
        path: what `rspipe weights show` reads: a weights file of a known layout (MAE, CrossMAE,
            SelectiveMAE, timm, a checkpoint of ours), a run or encoder folder, a hub's folder.
        encoder_only: leave the decoder as it was initialised. Otherwise the file must hold the
            decoder of this very objective; a run folder holds none, its `checkpoint/` files do.
        resize: where the objective's grid differs from the file's, interpolate the encoder's
            positions; otherwise that is an error. The decoder's are a fixed code, made anew.

    Returns:
        What became of every key of the file and of every tensor of the objective.

    Raises:
        WeightsError: naming every key that is missing, unexpected or of the wrong shape, or the
            heads, bands, mean or std that its card says and the recipe contradicts. A bare file
            says nothing of these: the recipe's stand in `assumed` of the report.
    """
    checkpoint = open_checkpoint(path)
    wanted = objective.encoder.config
    assumed = _check_card(checkpoint, wanted)
    own = objective.state_dict()
    kept, dropped = _pick(checkpoint, own, encoder_only)
    state = {name: tensor for name, tensor in checkpoint.state.items() if name not in dropped}
    changed = _match_grids(state, checkpoint, wanted, resize)
    if changed and _DECODER_POSITIONS in state:
        kept.append(_DECODER_POSITIONS)
        dropped[_DECODER_POSITIONS] = "fixed code of another grid; ours is made for this one"
    filled = _fill(state, own, kept, checkpoint)
    found = compare(own, state)
    if not found.is_exact:
        raise WeightsError(f"{path}: does not fit {objective.name}: {found}; {_next_move(found)}")
    objective.load_state_dict(state, strict=True)
    return _report(checkpoint, found, dropped, filled, changed, assumed)


def _check_card(checkpoint: Checkpoint, wanted: EncoderConfig) -> dict[str, str]:
    """Compare the recipe's encoder with the card; say what is taken on trust where none is."""
    if checkpoint.config is None:
        said = {name: getattr(wanted, name) for name in ("heads", "bands", "mean", "std")}
        return {k: f"{v}, from the recipe: the file does not say" for k, v in said.items()}
    wrong = [
        f"{name}: {getattr(checkpoint.config, name)} in its card, {getattr(wanted, name)} here"
        for name in _SAME
        if getattr(checkpoint.config, name) != getattr(wanted, name)
    ]
    if wrong:
        raise WeightsError(
            f"{checkpoint.origin}: {'; '.join(wrong)}; copy the card's values into the recipe, or "
            "make other weights of it with `rspipe weights import`"
        )
    return {}


def _pick(
    checkpoint: Checkpoint, own: Mapping[str, Tensor], encoder_only: bool
) -> tuple[list[str], dict[str, str]]:
    """Say which tensors keep their initial values, and which of the file are left out."""
    dropped = {n: "of a classifier" for n in checkpoint.state if n.startswith(ENCODER + "head.")}
    if not encoder_only:
        return [], dropped
    others = {n: "of the decoder: encoder_only" for n in checkpoint.state if not _is_encoder(n)}
    return [name for name in own if not _is_encoder(name)], dropped | others


def _is_encoder(name: str) -> bool:
    return name.startswith(ENCODER)


def _match_grids(
    state: dict[str, Tensor], checkpoint: Checkpoint, wanted: EncoderConfig, resize: bool
) -> dict[str, str]:
    """Bring the positions to the objective's grid, if that is asked for."""
    table = state.get(_POSITIONS)
    if table is None:
        return {}
    side = math.isqrt(table.shape[1] - 1)
    grid = checkpoint.config.grid if checkpoint.config is not None else (side, side)
    if grid == wanted.grid:
        return {}
    if not resize:
        raise WeightsError(
            f"{checkpoint.origin}: positions of a {grid} grid, the recipe's is {wanted.grid}; "
            "give the recipe the file's image size, or ask for resized positions (resize)"
        )
    try:
        state[_POSITIONS] = resize_positions(table, grid, wanted.grid)
    except ValueError as error:
        raise WeightsError(f"{checkpoint.origin}: pos_embed: {error}") from error
    return {_POSITIONS: f"interpolated from grid {grid} to {wanted.grid}"}


def _fill(
    state: dict[str, Tensor],
    own: Mapping[str, Tensor],
    kept: list[str],
    checkpoint: Checkpoint,
) -> dict[str, str]:
    """Let tensors that the file may lack keep the objective's initial values."""
    filled = dict.fromkeys(kept, "as initialised")
    layout = LAYOUTS.get(checkpoint.report.layout)
    if layout is not None and not layout.has_final_norm:
        why = f"plain norm, as initialised: layout {layout.name} trains none"
        filled |= {name: why for name in _FINAL_NORM if name not in state}
    state |= {name: own[name] for name in filled}
    return filled


def _next_move(found: LoadReport) -> str:
    if any(_is_encoder(name) for name in (*found.missing, *found.unexpected, *found.wrong_shape)):
        return "give the recipe the shape of the file's encoder (`rspipe weights show` prints it)"
    return "with encoder_only the decoder starts anew"


def _report(
    checkpoint: Checkpoint,
    found: LoadReport,
    dropped: dict[str, str],
    filled: dict[str, str],
    changed: dict[str, str],
    assumed: dict[str, str],
) -> LoadReport:
    theirs = {new: old for old, new in checkpoint.report.renamed.items()}
    matched = {theirs.get(name, name): name for name in found.matched if name not in filled}
    return replace(
        found,
        matched=tuple(matched),
        renamed={old: new for old, new in matched.items() if old != new},
        dropped={**checkpoint.report.dropped, **{theirs.get(n, n): w for n, w in dropped.items()}},
        filled=filled,
        changed={
            **checkpoint.report.changed,
            **{theirs.get(name, name): how for name, how in changed.items()},
        },
        assumed=assumed,
        layout=checkpoint.report.layout,
    )
