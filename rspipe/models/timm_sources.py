# SPDX-License-Identifier: Apache-2.0
"""Where a model of timm's comes from: its name and a weights file, timm's own download, a folder.

`timm/NAME` takes the weights that timm downloads, `timm/NAME@FILE` those of a file,
`timm/NAME@random` none. A Hugging Face folder in timm's format says all by itself. Whatever is
loaded is loaded whole: every tensor of the model has its key in the file.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from rspipe.errors import RecipeError, WeightsError
from rspipe.models.backbone import Backbone
from rspipe.models.checkpoint import HUB_CONFIG, HUB_WEIGHTS
from rspipe.models.encoder import Encoder, EncoderConfig, seeded
from rspipe.models.golden import made_image
from rspipe.models.shapes import RGB
from rspipe.models.timm_encoder import TimmConfig, TimmEncoder, make_model, refuse_unknown
from rspipe.models.weights import LoadReport, compare, load_strictly, read_state
from rspipe.recipe import Strict

PREFIX = "timm/"
RANDOM = "random"
# Arguments of `timm.create_model` that name places to read from; folders come from strangers.
_PLACES = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
_SAME_FEATURES = 1e-4


class InputRules(Strict):
    """What an encoder shall read, where it is not what it says of itself."""

    img_px: int | tuple[int, int] | None = None
    """Side of square images, or (height, width); what depends on it is resampled."""
    mean: tuple[float, ...] | None = None
    """Per band, of values scaled to 0..1."""
    std: tuple[float, ...] | None = None


def open_timm(place: str, rules: InputRules | None = None) -> Backbone:
    """Make the model that `timm/NAME`, `timm/NAME@FILE` or `timm/NAME@random` means.

    A plain transformer becomes our `Encoder`, so that the same weights give the same numbers
    through every door; everything else a `TimmEncoder`. The report tells what became of each key.

    Raises:
        RecipeError: timm has no such model, or it does not read what it shall.
        WeightsError: the weights do not fit, or cannot be fetched.
    """
    name, _, source = place.removeprefix(PREFIX).partition("@")
    rules = rules or InputRules()
    noted = _noted(name)
    arguments = _size_arguments(noted, rules)
    config = _config(place, name, noted, arguments, rules)
    if not source:
        model, report = _fetched(name, arguments)
    else:
        with seeded(0):
            model = make_model(name, arguments)
        report = LoadReport((), filled=dict.fromkeys(model.state_dict(), "random, seed 0"))
        if source != RANDOM:
            report = load_file(model, Path(source), noted)
    return _opened(model, config, report, place)


def open_timm_folder(folder: Path, rules: InputRules | None = None) -> Backbone:
    """Read a Hugging Face folder in timm's format: `config.json` and `model.safetensors`.

    Raises:
        RecipeError: timm has no such model, or it does not read what it shall.
        WeightsError: a file is no such, or the weights do not fit.
    """
    rules = rules or InputRules()
    name, noted, arguments = _read_card(folder)
    # Weights that are of one size are read at it, and resampled afterwards.
    is_pinned = "img_size" in arguments
    made = rules.model_copy(update={"img_px": None}) if is_pinned else rules
    arguments = {**_size_arguments(noted, made), **arguments}
    config = _config(str(folder), name, noted, arguments, made)
    with seeded(0):
        model = make_model(name, arguments)
    report = load_file(model, folder / HUB_WEIGHTS, noted)
    opened = _opened(model, config, report, str(folder))
    return opened.at_size(rules.img_px) if is_pinned and rules.img_px is not None else opened


def _read_card(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read a model's name, what is noted of its weights, and the arguments that make it."""
    path = folder / HUB_CONFIG
    try:
        card = json.loads(path.read_text())
        name, noted = str(card["architecture"]), dict(card["pretrained_cfg"])
        arguments = dict(card.get("model_args") or {})
        pool = card.get("global_pool")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path}: not the card of a timm model ({error!r}); a folder of transformers is not "
            f"read: name timm's model and the file, encoder=timm/NAME@{folder}/{HUB_WEIGHTS}"
        ) from error
    unsafe = sorted(set(arguments) & set(_PLACES))
    if unsafe:
        raise WeightsError(f"{path}: model_args may not name {', '.join(unsafe)}")
    if pool:
        arguments.setdefault("global_pool", pool)
    # What the folder does not pin is what timm notes for the architecture.
    return name, {**_noted(name), **noted}, arguments


def load_file(model: nn.Module, path: Path, noted: Mapping[str, Any]) -> LoadReport:
    """Load a weights file into a headless model, strictly; the classifier's tensors are left out.

    Names of the papers' own releases are turned into timm's by timm's filter for the model.

    Raises:
        WeightsError: a tensor of the model has no key, a key no tensor, or a shape differs.
    """
    state = read_state(path)
    dropped = _classifier(noted, state)
    kept = {name: tensor for name, tensor in state.items() if name not in dropped}
    changed: dict[str, str] = {}
    translate = _filter_of(model)
    if not compare(model.state_dict(), kept).is_exact and translate is not None:
        translated = _translated(translate, state, model, path)
        lost = _classifier(noted, translated)
        kept = {name: tensor for name, tensor in translated.items() if name not in lost}
        changed["names and shapes"] = f"by timm's filter for {type(model).__name__}"
    # Files may be of half precision.
    kept = {name: t.float() if t.is_floating_point() else t for name, t in kept.items()}
    found = load_strictly(model, kept, str(path))
    why = dict.fromkeys(dropped, "of the classifier; an encoder has none")
    return replace(found, dropped=why, changed=changed, layout="timm")


def _translated(
    translate: Callable[..., dict[str, Tensor]],
    state: dict[str, Tensor],
    model: nn.Module,
    path: Path,
) -> dict[str, Tensor]:
    try:
        return translate(dict(state), model)
    except (KeyError, AttributeError, RuntimeError, TypeError, IndexError) as error:
        fit = compare(model.state_dict(), state)
        raise WeightsError(f"{path}: does not fit the model: {fit}") from error


def _filter_of(model: nn.Module) -> Callable[..., dict[str, Tensor]] | None:
    """Find what timm itself does to released files of this family."""
    found: Callable[..., dict[str, Tensor]] | None = getattr(
        sys.modules[type(model).__module__], "checkpoint_filter_fn", None
    )
    return found


def _classifier(noted: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[str]:
    heads = noted.get("classifier") or ()
    starts = tuple(f"{one}." for one in ([heads] if isinstance(heads, str) else heads))
    return [name for name in state if name.startswith(starts)] if starts else []


def _fetched(name: str, arguments: dict[str, Any]) -> tuple[nn.Module, LoadReport]:
    """Let timm download its weights, strictly, and take the classifier off."""
    try:
        model = make_model(name, arguments, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        cause = str(error).strip().splitlines()
        raise WeightsError(
            f"timm/{name}: its weights cannot be fetched ({cause[0] if cause else error!r}); "
            f"where there is a network, download model.safetensors of {_repository(name)}, then "
            f"say encoder=timm/{name}@FILE, or encoder=timm/{name}@{RANDOM} for random weights"
        ) from error
    origin = dict.fromkeys(model.state_dict(), "downloaded by timm")
    return model, LoadReport(tuple(origin), layout="timm")


def _repository(name: str) -> str:
    noted: Any = timm.models.get_pretrained_cfg(name)
    return str(getattr(noted, "hf_hub_id", None) or f"timm/{name}")


def _noted(name: str) -> dict[str, Any]:
    """What timm notes of a model: size, statistics, classifier.

    Raises:
        RecipeError: it has no such model or no such tag.
    """
    refuse_unknown(name)
    try:
        noted: Any = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{name.partition('.')[0]}.*"))
        raise RecipeError(f"timm/{name}: {error} timm knows {known or 'none'}") from error
    return {} if noted is None else dict(noted.to_dict())


def _size_arguments(noted: Mapping[str, Any], rules: InputRules) -> dict[str, Any]:
    """Models whose weights depend on the image size are made at the size wanted."""
    if rules.img_px is None or not noted.get("fixed_input_size"):
        return {}
    size = rules.img_px
    return {"img_size": [size, size] if isinstance(size, int) else list(size)}


def _config(
    place: str,
    name: str,
    noted: Mapping[str, Any],
    arguments: dict[str, Any],
    rules: InputRules,
) -> TimmConfig:
    if not {"input_size", "mean", "std"} <= set(noted):
        raise RecipeError(
            f"encoder={place}: timm notes neither input size nor statistics of {name}; choose a "
            "model with a pretrained_cfg"
        )
    bands, height, width = noted["input_size"]
    if bands != len(RGB):
        raise RecipeError(
            f"encoder={place} reads {bands} bands; benchmarks are {', '.join(RGB)}. Choose a model "
            "that reads three"
        )
    pinned = arguments.get("img_size") or (height, width)
    own = (pinned, pinned) if isinstance(pinned, int) else tuple(pinned)
    size = rules.img_px or (own[0] if own[0] == own[1] else own)
    try:
        return TimmConfig(
            timm_name=name,
            model_args=arguments,
            img_px=size,
            bands=RGB,
            mean=rules.mean or tuple(map(float, noted["mean"])),
            std=rules.std or tuple(map(float, noted["std"])),
        )
    except ValueError as error:
        raise RecipeError(f"encoder={place}: {error}") from error


def _opened(model: nn.Module, config: TimmConfig, report: LoadReport, place: str) -> Backbone:
    opened = _as_plain(model.eval(), config) or TimmEncoder(model, config)
    said = {
        "bands": f"{', '.join(config.bands)}: timm does not name them",
        "mean, std": f"{config.mean}, {config.std}",
    }
    opened.report = replace(report, assumed=said)
    if not all(bool(t.isfinite().all()) for t in opened.state_dict().values()):
        raise WeightsError(f"{place}: a tensor holds something else than finite numbers")
    return opened.eval()


@torch.no_grad()
def _as_plain(model: nn.Module, config: TimmConfig) -> Encoder | None:
    """Make our encoder of a plain transformer; None where it would compute anything else."""
    encoder = _of_same_shape(model, config)
    if encoder is None or not compare(encoder.vit.state_dict(), model.state_dict()).is_exact:
        return None
    encoder.vit.load_state_dict(model.state_dict())
    image = encoder.normalise(made_image(config.size_px, config.in_chans))
    run: Any = model.forward_features
    mine, timms = encoder.eval().tokens(image, final_norm=True), run(image)
    apart = float((mine - timms).abs().max())
    return encoder if apart <= _SAME_FEATURES * max(1.0, float(timms.abs().max())) else None


def _of_same_shape(model: nn.Module, config: TimmConfig) -> Encoder | None:
    vit: Any = model
    if type(model) is not VisionTransformer:
        return None
    block, patch = vit.blocks[0], vit.patch_embed.patch_size
    heads = getattr(getattr(block, "attn", None), "num_heads", None)
    hidden = getattr(getattr(block, "mlp", None), "fc1", None)
    if heads is None or hidden is None:  # attention and MLP side by side
        return None
    try:
        return Encoder(
            EncoderConfig(
                timm_name=config.timm_name,
                img_px=config.img_px,
                patch_px=patch[0],
                width=vit.embed_dim,
                depth=len(vit.blocks),
                heads=heads,
                mlp_ratio=hidden.out_features / vit.embed_dim,
                mean=config.mean,
                std=config.std,
            )
        )
    except (ValueError, RecipeError):  # registers, no class token, a norm before the blocks
        return None
