# SPDX-License-Identifier: Apache-2.0
"""Whose names a checkpoint uses, and what each of its keys is called with us.

The layout is recognised from the keys alone; a key that the layout does not know is an error, and
a key that is left out is left out by a rule below that says why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rspipe.errors import WeightsError
from rspipe.models.weights import LoadReport, State

ENCODER = "encoder.vit."

_NO_OUTPUT = "no output of the released code depends on it"
# Encoder keys are timm's in every released layout.
_ENCODER_NAMES = {
    name: ENCODER + name for name in ("cls_token", "pos_embed", "patch_embed.", "blocks.", "norm.")
}
_DECODER_NAMES = {
    "mask_token": "decoder.mask_token",
    "decoder_pos_embed": "decoder.positions",
    "decoder_blocks.": "decoder.blocks.",
    "decoder_norm.": "decoder.norm.",
    "decoder_pred.": "decoder.predict.",
}


@dataclass(frozen=True)
class Layout:
    """The names of one family of checkpoints."""

    name: str
    is_it: Callable[[frozenset[str]], bool]
    """Whether a set of keys is of this family."""
    names: Mapping[str, str]
    """Key, or start of a key where it ends with a point (or is empty): the same with us."""
    dropped: Mapping[str, str]
    """Start of a key that is left out: why."""
    has_final_norm: bool = True
    statistics_known: bool = True
    """Whether every published file of the family was trained on ImageNet's mean and deviation."""

    def our_name(self, name: str) -> str | None:
        """Name a key as we do; None where the layout has no such key or drops it."""
        for theirs, ours in self.names.items():
            if name == theirs or (name.startswith(theirs) and theirs[-1:] in ("", ".")):
                return ours + name.removeprefix(theirs)
        return None

    def why_dropped(self, name: str) -> str | None:
        """Say why a key is left out; None where it is not."""
        return next((why for start, why in self.dropped.items() if name.startswith(start)), None)


def _has(*parts: str) -> Callable[[frozenset[str]], bool]:
    """Tell whether each part stands in some key."""
    return lambda names: all(any(part in name for name in names) for part in parts)


def _starts(*starts: str) -> Callable[[frozenset[str]], bool]:
    return lambda names: all(any(name.startswith(start) for name in names) for start in starts)


# The first that fits is it: from those with keys of their own to the plain transformer.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("rspipe", _starts(ENCODER), {"": ""}, {}, statistics_known=False),
        Layout(
            "cross_mae",
            _starts("wfm.", "dec_norms."),
            _ENCODER_NAMES
            | _DECODER_NAMES
            | {"wfm.linear.": "mix.weights.", "dec_norms.": "mix.norms."},
            {},
            has_final_norm=False,
        ),
        Layout(
            "selective_mae",
            _has("decoder_blocks.", ".cross_attn."),
            _ENCODER_NAMES | _DECODER_NAMES,
            {
                "get_token_probs": f"AdaMAE's token scores: {_NO_OUTPUT}",
                "pos_embed_probs": f"AdaMAE's positions: {_NO_OUTPUT}",
                "decoder_embed1.": _NO_OUTPUT,
                "hog.": "fixed filters of the HOG scores, which we compute ourselves",
            },
        ),
        Layout(
            "mae",
            _starts("decoder_blocks.", "decoder_embed.", "mask_token"),
            _ENCODER_NAMES | _DECODER_NAMES | {"decoder_embed.": "decoder.embed."},
            {},
        ),
        Layout(
            "vit",
            _starts("cls_token", "patch_embed.", "blocks."),
            {"": ENCODER},
            {},
            statistics_known=False,
        ),
    )
}


def recognise(names: Iterable[str], origin: str) -> Layout:
    """Tell from its keys whose layout a checkpoint has.

    Raises:
        WeightsError: nobody's that is known here.
    """
    found = frozenset(names)
    for layout in LAYOUTS.values():
        if layout.is_it(found):
            return layout
    some = ", ".join(sorted(found)[:5])
    raise WeightsError(
        f"{origin}: keys of no known layout (unexpected: {some}, ...); known are "
        f"{', '.join(LAYOUTS)}, of a vision transformer with a class token"
    )


def from_released(state: State, origin: str) -> tuple[dict[str, Tensor], LoadReport]:
    """Rename the keys of a released checkpoint to those of our objectives.

    Args:
        state: tensors by their released names; encoder-only files are fine.
        origin: where they come from, for the message.

    Returns:
        The tensors as `encoder.vit.*` and `decoder.*`, and what became of every key.

    Raises:
        WeightsError: a key is of no known layout.
    """
    layout = recognise(state, origin)
    ours = {name: layout.our_name(name) for name in state}
    why = {name: layout.why_dropped(name) for name in state if ours[name] is None}
    renamed = {name: new for name, new in ours.items() if new is not None}
    report = LoadReport(
        matched=tuple(renamed),
        unexpected=tuple(name for name, reason in why.items() if reason is None),
        renamed={name: new for name, new in renamed.items() if name != new},
        dropped={name: reason for name, reason in why.items() if reason is not None},
        layout=layout.name,
    )
    if report.unexpected:
        raise WeightsError(f"{origin}: keys that layout {layout.name} does not know: {report}")
    return {new: state[name] for name, new in renamed.items()}, report
