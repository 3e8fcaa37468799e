# SPDX-License-Identifier: Apache-2.0
"""How weights enter a module: read without running code, and strictly, key by key."""

import argparse
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rspipe.errors import WeightsError

State = Mapping[str, Tensor]

# Where training programs keep the tensors in a file that holds more: MAE and its kin, Lightning
# and timm, our own checkpoints.
_TABLES = ("model", "state_dict", "objective")
# Put before every name by DistributedDataParallel and by torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
_FAULTS = ("missing", "unexpected", "wrong_shape")
_CHANGES = ("renamed", "dropped", "filled", "changed", "assumed")


@dataclass(frozen=True)
class LoadReport:
    """What became of every key of a file and of every tensor of the module; nothing is left out."""

    matched: tuple[str, ...]
    """Keys of the file whose tensors the module takes."""
    missing: tuple[str, ...] = ()
    """Tensors that the module needs and the file lacks."""
    unexpected: tuple[str, ...] = ()
    """Keys of the file that nobody wants."""
    wrong_shape: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Matched keys whose tensor has another name with us: theirs, ours."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Keys left out on purpose, and why."""
    filled: Mapping[str, str] = field(default_factory=dict)
    """Tensors that the file lacks and that were made, and how."""
    changed: Mapping[str, str] = field(default_factory=dict)
    """Keys whose values were changed, and how."""
    assumed: Mapping[str, str] = field(default_factory=dict)
    """What the file does not say about how to use it, and where the answer comes from."""
    layout: str = ""
    """Whose names these are; empty where they are the module's own."""

    @property
    def total(self) -> int:
        """Tensors that the module needs."""
        return len(self.matched) + len(self.missing) + len(self.wrong_shape) + len(self.filled)

    @property
    def is_exact(self) -> bool:
        """Whether every key and every tensor found its place."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def faults(self) -> list[str]:
        """Say what does not fit, one line for each kind; empty where all fits."""
        return [
            f"{kind.replace('_', ' ')}: {', '.join(getattr(self, kind))}"
            for kind in _FAULTS
            if getattr(self, kind)
        ]

    def lines(self) -> list[str]:
        """Say everything, one line for each key that is not simply taken over."""
        layout = f", layout {self.layout}" if self.layout else ""
        lines = [f"{len(self.matched)} of {self.total} tensors match{layout}", *self.faults()]
        for kind in _CHANGES:
            lines += [f"{kind}: {name}: {how}" for name, how in getattr(self, kind).items()]
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain values, for JSON."""
        return asdict(self) | {"total": self.total, "is_exact": self.is_exact}

    def __str__(self) -> str:
        counts = [f"{kind}: {len(getattr(self, kind))}" for kind in _CHANGES if getattr(self, kind)]
        return "; ".join([self.lines()[0], *self.faults(), *counts])


def compare(own: State, state: State) -> LoadReport:
    """Say which tensors of a table fit those of a module; both go by the module's names."""
    common = [name for name in own if name in state]
    return LoadReport(
        matched=tuple(name for name in common if own[name].shape == state[name].shape),
        missing=tuple(name for name in own if name not in state),
        unexpected=tuple(name for name in state if name not in own),
        wrong_shape=tuple(
            f"{name} {tuple(state[name].shape)}, want {tuple(own[name].shape)}"
            for name in common
            if own[name].shape != state[name].shape
        ),
    )


def load_strictly(module: nn.Module, state: State, origin: str) -> LoadReport:
    """Load weights only if every key and shape fits.

    Args:
        module: what receives the weights; untouched where they do not fit.
        state: tensors by the module's own names.
        origin: where they come from, for the message.

    Raises:
        WeightsError: naming every missing and unexpected key and every wrong shape.
    """
    report = compare(module.state_dict(), state)
    if not report.is_exact:
        raise WeightsError(f"{origin}: does not fit the model: {report}")
    module.load_state_dict(dict(state), strict=True)
    return report


def read_state(path: Path, under: str | None = None) -> dict[str, Tensor]:
    """Read tensors from .safetensors or from a .pt/.pth file, without running its code.

    Of Python's objects a .pth file may hold plain values and the settings of an argparse program
    (MAE and its kin store theirs); any other is refused, unread. What DistributedDataParallel and
    torch.compile put before every name is taken off.

    Args:
        path: the file.
        under: which table of the file, e.g. "model_ema"; None: the file itself, or the first of
            `model`, `state_dict` and `objective` that it has.

    Raises:
        WeightsError: the file is absent, unreadable, holds code, or holds no table of tensors.
    """
    content = _read(path)
    if under is not None:
        if not isinstance(content, dict) or under not in content:
            raise WeightsError(f"{path}: has no table {under!r}; it has {_names(content)}")
        content = content[under]
    elif isinstance(content, dict):
        content = next((content[k] for k in _TABLES if isinstance(content.get(k), dict)), content)
    if not isinstance(content, dict) or not _holds_tensors(content):
        raise WeightsError(
            f"{path}: holds no table of tensors; want a state dict, it has {_names(content)}"
        )
    return _unwrap(content)


def write_weights(state: State, path: Path) -> None:
    """Write tensors as a .safetensors file that everybody may read."""
    save_file(dict(state), path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors lets only its owner read it


def _read(path: Path) -> Any:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return _loaded(path, lambda: load_file(path))
    # Mapped where the format allows it: of a checkpoint with the optimiser's state, only the
    # weights come into memory.
    mapped = zipfile.is_zipfile(path)
    with torch.serialization.safe_globals([argparse.Namespace]):
        return _loaded(
            path, lambda: torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        )


def _loaded(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a readable weights file: {error}") from error
    except Exception as error:  # torch and pickle share no base of errors
        if "weights_only" not in str(error) and "Unsupported" not in str(error):
            raise WeightsError(f"{path}: not a readable weights file: {error}") from error
        raise WeightsError(
            f"{path}: holds Python objects besides tensors, and reading them would run code: "
            f"{str(error).splitlines()[0]}; if you trust where it comes from, load it elsewhere "
            "and save its state dict alone with safetensors"
        ) from error


def _holds_tensors(content: dict[Any, Any]) -> bool:
    return bool(content) and all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()
    )


def _names(content: Any) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return ", ".join(sorted(str(name) for name in content)[:10]) or "nothing"


def _unwrap(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapper in (*_WRAPPERS, *_WRAPPERS):  # in either order
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return state
