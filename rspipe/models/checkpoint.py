# SPDX-License-Identifier: Apache-2.0
"""A released checkpoint, opened: its tensors by our names, and what its own card says of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rspipe.errors import WeightsError
from rspipe.models.encoder import CARD_FILE, WEIGHTS_FILE, Encoder, EncoderConfig
from rspipe.models.released import ENCODER, from_released
from rspipe.models.shapes import RGB, infer_config
from rspipe.models.weights import LoadReport, read_state

HUB_CONFIG, HUB_WEIGHTS = "config.json", "model.safetensors"
# Where our card stands in a hub's config, whose other keys are timm's.
HUB_CARD = "rspipe"


@dataclass(frozen=True)
class Checkpoint:
    """Weights that came from outside."""

    origin: str
    """The path, for messages."""
    state: Mapping[str, Tensor]
    """By our names: `encoder.vit.*`, then what the decoder has, `decoder.*` and `mix.*`."""
    report: LoadReport
    """What became of each key."""
    config: EncoderConfig | None = None
    """Shape, bands and statistics, where a card beside the weights tells; a bare file does not."""

    @property
    def encoder(self) -> dict[str, Tensor]:
        """The encoder's tensors, by timm's names."""
        return {k.removeprefix(ENCODER): v for k, v in self.state.items() if k.startswith(ENCODER)}


def open_checkpoint(path: Path, under: str | None = None) -> Checkpoint:
    """Read a weights file, a folder that rspipe wrote, or a hub's folder of a timm model.

    Args:
        path: a file is .safetensors, .pt or .pth.
        under: which table of tensors a file is read from; None: as `read_state` finds it.

    Raises:
        WeightsError: nothing readable is there, its keys are of no known layout, or a tensor holds
            no finite numbers.
    """
    if not path.is_dir():
        return _from_file(path, under)
    if under is not None:
        raise WeightsError(f"{path}: a folder has no table {under!r}; name a file of it")
    if (path / CARD_FILE).is_file():
        return _from_encoder(path)
    if (path / HUB_CONFIG).is_file():
        return _from_hub(path)
    raise WeightsError(
        f"{path}: neither {CARD_FILE} (a run or an encoder of rspipe) nor {HUB_CONFIG} (a timm "
        "model of a hub) is in this folder; name the weights file itself"
    )


def sha256_of(path: Path) -> dict[str, str]:
    """Hash the weights file, or those of a folder that are read, by name."""
    names = (WEIGHTS_FILE, HUB_WEIGHTS)
    files = [path / name for name in names] if path.is_dir() else [path]
    hashes = {}
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                hashes[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _from_file(path: Path, under: str | None = None) -> Checkpoint:
    """Open a file; what it holds as half precision is widened, and that is reported."""
    tensors, report = from_released(read_state(path, under), str(path))
    theirs = {new: old for old, new in report.renamed.items()}
    state, changed = {}, {}
    for name, tensor in tensors.items():
        old = theirs.get(name, name)
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise WeightsError(
                f"{path}: {old} ({tensor.dtype}) holds something else than finite numbers; the "
                "file is damaged, or quantised"
            )
        if tensor.dtype != torch.float32:
            changed[old] = f"{str(tensor.dtype).removeprefix('torch.')} to float32"
        state[name] = tensor.float()
    return Checkpoint(str(path), state, replace(report, changed=changed))


def _from_encoder(folder: Path) -> Checkpoint:
    encoder = Encoder.load(folder)
    vit = encoder.vit.state_dict()
    state = {ENCODER + name: tensor for name, tensor in vit.items()}
    names = {name: ENCODER + name for name in vit}
    report = LoadReport(matched=tuple(vit), renamed=names, layout="rspipe folder")
    return Checkpoint(str(folder), state, report, encoder.config)


def _from_hub(folder: Path) -> Checkpoint:
    path = folder / HUB_WEIGHTS
    config, bare = _read_hub_config(folder), _from_file(path)
    if HUB_CARD in config:
        ours = Encoder.from_card(config[HUB_CARD], path)
        return replace(bare, config=ours.config)
    try:
        return replace(bare, config=_of_timm(config, bare))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder / HUB_CONFIG}: not the card of a timm model ({error!r}); name "
            f"{HUB_WEIGHTS} itself and give what it does not say"
        ) from error


def _read_hub_config(folder: Path) -> dict[str, Any]:
    path = folder / HUB_CONFIG
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not readable: {error}") from error
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: want a JSON object")
    return config


def _of_timm(config: dict[str, Any], checkpoint: Checkpoint) -> EncoderConfig:
    """Read what timm's own card tells: architecture, heads and statistics."""
    pretrained, arguments = config["pretrained_cfg"], config.get("model_args", {})
    size = arguments.get("img_size", pretrained["input_size"][1:])
    return infer_config(
        checkpoint.encoder,
        checkpoint.origin,
        mean=[float(value) for value in pretrained["mean"]],
        std=[float(value) for value in pretrained["std"]],
        bands=RGB,
        heads=arguments.get("num_heads"),
        img_px=size if isinstance(size, int) else (int(size[0]), int(size[1])),
        timm_name=config["architecture"],
    )
