"""How weights enter: strictly, key by key, from our own files or the released MAE layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rspipe.errors import WeightsError

State = Mapping[str, Tensor]

# Key prefixes of the released decoders (MAE, CrossMAE, SelectiveMAE), and ours of the same tensor.
_DECODER_PREFIXES = {
    "mask_token": "decoder.mask_token",
    "decoder_pos_embed": "decoder.positions",
    "decoder_embed.": "decoder.embed.",
    "decoder_blocks.": "decoder.blocks.",
    "decoder_norm.": "decoder.norm.",
    "decoder_pred.": "decoder.predict.",
    "wfm.linear.": "mix.weights.",
    "dec_norms.": "mix.norms.",
}
# Encoder keys are timm's in every released layout.
_ENCODER_PREFIXES = ("cls_token", "pos_embed", "patch_embed.", "blocks.", "norm.")
# Built but never called by the released SelectiveMAE code: no output depends on them.
_DEAD_PREFIXES = ("get_token_probs", "pos_embed_probs", "decoder_embed1.")


@dataclass(frozen=True)
class LoadReport:
    """What became of every key: names of the file that matched, and the faults."""

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong_shape: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Keys of the file that are known to be dead in its own code."""

    @property
    def total(self) -> int:
        """Tensors that the module needs."""
        return len(self.matched) + len(self.missing) + len(self.wrong_shape)

    @property
    def is_exact(self) -> bool:
        """Whether file and module hold the same keys in the same shapes."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} of {self.total} tensors match"]
        for fault in ("missing", "unexpected", "wrong_shape", "dropped"):
            names = getattr(self, fault)
            if names:
                lines.append(f"{fault.replace('_', ' ')}: {', '.join(names)}")
        return "; ".join(lines)


def load_strictly(module: nn.Module, state: State, origin: str) -> LoadReport:
    """Load weights only if every key and shape fits.

    Args:
        module: what receives the weights; untouched where they do not fit.
        state: tensors by the module's own names.
        origin: where they come from, for the message.

    Raises:
        WeightsError: naming every missing and unexpected key and every wrong shape.
    """
    own = module.state_dict()
    common = [name for name in own if name in state]
    report = LoadReport(
        matched=tuple(name for name in common if own[name].shape == state[name].shape),
        missing=tuple(name for name in own if name not in state),
        unexpected=tuple(name for name in state if name not in own),
        wrong_shape=tuple(
            f"{name} {tuple(state[name].shape)}, want {tuple(own[name].shape)}"
            for name in common
            if own[name].shape != state[name].shape
        ),
    )
    if not report.is_exact:
        raise WeightsError(f"{origin}: does not fit the model: {report}")
    module.load_state_dict(dict(state), strict=True)
    return report


def read_state(path: Path) -> dict[str, Tensor]:
    """Read tensors from .safetensors or from a .pt/.pth file, without running its code.

    A checkpoint that keeps its tensors under `model` or `state_dict` is opened one level down.

    Raises:
        WeightsError: the file is absent, unreadable, or holds no table of tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and safetensors share no base of errors
        raise WeightsError(f"{path}: not a readable weights file: {error}") from error
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path}: holds no table of tensors; want a state dict")
    return content


def from_released(state: State, origin: str) -> tuple[dict[str, Tensor], LoadReport]:
    """Rename the keys of a released MAE or SelectiveMAE checkpoint to those of our objectives.

    Args:
        state: tensors by their released names; encoder-only files are fine.
        origin: where they come from, for the message.

    Returns:
        The tensors as `encoder.vit.*` and `decoder.*`, and what became of every key.

    Raises:
        WeightsError: a key is of neither layout.
    """
    renamed: dict[str, Tensor] = {}
    matched, dropped, unexpected = [], [], []
    for name, tensor in state.items():
        ours = _our_name(name)
        if ours is not None:
            renamed[ours] = tensor
            matched.append(name)
        elif name.startswith(_DEAD_PREFIXES):
            dropped.append(name)
        else:
            unexpected.append(name)
    report = LoadReport(tuple(matched), unexpected=tuple(unexpected), dropped=tuple(dropped))
    if unexpected:
        raise WeightsError(f"{origin}: keys of no known layout: {report}")
    return renamed, report


def _our_name(name: str) -> str | None:
    for prefix, ours in _DECODER_PREFIXES.items():
        if name.startswith(prefix):
            return ours + name.removeprefix(prefix)
    return f"encoder.vit.{name}" if name.startswith(_ENCODER_PREFIXES) else None
