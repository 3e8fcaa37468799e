# SPDX-License-Identifier: Apache-2.0
"""What is judged: encoders, and the floors that any encoder has to beat."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import typer
from jaxtyping import Float, UInt8

from rspipe.errors import RecipeError
from rspipe.io.tables import read_json_if_there
from rspipe.models.backbone import Backbone
from rspipe.models.checkpoint import HUB_CARD, HUB_CONFIG
from rspipe.models.encoder import CARD_FILE, WEIGHTS_FILE, Encoder
from rspipe.models.importing import import_encoder
from rspipe.models.shapes import RGB
from rspipe.models.timm_sources import PREFIX, InputRules, open_timm, open_timm_folder
from rspipe.recipe import fingerprint

Gives = Literal["tokens", "vectors", "labels"]
"""What an encoder offers, and the most that a protocol reads: patch tokens (and vectors pooled
of them), one vector per image, or nothing but the labels."""

HISTOGRAM_BINS = 16


class ImageStatistics:
    """Mean, spread and histogram of each band: how far colours alone go.

    54 numbers of an RGB image as published: mean and standard deviation of each band, 0..1,
    then for each band the share of its pixels in each of 16 equal bins.
    """

    sha256 = fingerprint("image_statistics", 1, HISTOGRAM_BINS)

    def describe(self, image: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, " D"]:
        """Turn an image into one float32 vector."""
        bands = image.reshape(-1, image.shape[-1])
        bins = bands // (256 // HISTOGRAM_BINS)
        shares = [np.bincount(band, minlength=HISTOGRAM_BINS) / len(band) for band in bins.T]
        moments = [bands.mean(axis=0) / 255, bands.std(axis=0) / 255]
        return np.concatenate([*moments, *shares]).astype(np.float32)


class NoEncoder:
    """Nothing is read of an image: for protocols that know the labels only."""

    sha256 = fingerprint("no_encoder")

    def describe(self, image: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, " D"]:
        """Say nothing: the vector 0."""
        return np.zeros(1, dtype=np.float32)


@dataclass(frozen=True)
class Judged:
    """An encoder under evaluation."""

    encoder: Backbone | ImageStatistics | NoEncoder
    sha256: str
    """Of its weights; of its definition where it has none."""
    corpus_fingerprint: str | None = None
    """Of the corpus that its run read; None where no run says so."""
    source: str = ""
    """Where it comes from, as the recipe names it."""

    @property
    def network(self) -> Backbone:
        """The encoder itself, for protocols that train it.

        Raises:
            TypeError: it is a floor, which has no weights.
        """
        if not isinstance(self.encoder, Backbone):
            raise TypeError(f"{type(self.encoder).__name__} has no weights to train")
        return self.encoder

    @property
    def gives(self) -> frozenset[Gives]:
        """Which protocols can read it: a majority vote is asked for once, of no encoder."""
        if isinstance(self.encoder, Backbone):
            return frozenset({"tokens", "vectors"})
        return frozenset({"vectors" if isinstance(self.encoder, ImageStatistics) else "labels"})

    def as_dict(self) -> dict[str, Any]:
        """Say what it is and how images come to it, for results."""
        if not isinstance(self.encoder, Backbone):
            return {"sha256": self.sha256, "kind": type(self.encoder).__name__}
        config, report = self.encoder.config, self.encoder.report
        return {
            "source": self.source,
            "sha256": self.sha256,
            "kind": type(self.encoder).__name__,
            "tensors_matched": len(report.matched) if report else 0,
            "tensors": report.total if report else len(self.encoder.state_dict()),
            "size_px": list(config.size_px),
            "bands": list(config.bands),
            "mean": list(config.mean),
            "std": list(config.std),
            "values": "0..255 / 255, minus mean, by std, per band",
            "tokens": {
                "grid": list(config.grid),
                "width": config.width,
                "stride_px": config.patch_px,
                "class_token": self.encoder.has_class_token,
            },
        }


def open_encoder(place: str, rules: InputRules | None = None) -> Judged:
    """Read an encoder: of a run, of a Hugging Face folder, of timm, or of a weights file.

    How many tensors matched and what it reads is printed; nothing is loaded that does not match
    wholly.

    Args:
        place: a folder, a file, or `timm/NAME`, `timm/NAME@FILE`, `timm/NAME@random`.
        rules: what it shall read, where it is not what it says of itself.

    Raises:
        RecipeError: it reads other bands than red, green and blue, in this order, or not what
            the rules say.
        WeightsError: it is not whole, cannot be fetched, or does not say all that must be known to
            feed it (then `rspipe weights import` makes a folder of it that does).
    """
    rules = rules or InputRules()
    encoder = _from_place(place, rules)
    if encoder.config.bands != RGB:
        raise RecipeError(
            f"encoder={place} reads the bands {', '.join(encoder.config.bands)}; benchmarks are "
            f"{', '.join(RGB)}. Reorder its bands with `rspipe weights import --bands`"
        )
    weights = Path(place) / WEIGHTS_FILE
    is_as_saved = isinstance(encoder, Encoder) and weights.is_file() and rules == InputRules()
    sha256 = _of_file(weights) if is_as_saved else of_memory(encoder)
    judged = Judged(encoder, sha256, _corpus_of(Path(place), sha256), place)
    typer.echo("\n".join(f"  {line}" for line in _lines(judged)))
    return judged


def _corpus_of(run: Path, sha256: str) -> str | None:
    """Read which corpus made these very weights, where the run's manifest says so."""
    said = read_json_if_there(run / "manifest.json")
    is_of_these = isinstance(said, dict) and said.get("encoder_sha256") == sha256
    return str(said["corpus_fingerprint"]) if is_of_these and "corpus_fingerprint" in said else None


def _from_place(place: str, rules: InputRules) -> Backbone:
    path = Path(place)
    if place.startswith(PREFIX) and not path.exists():
        return open_timm(place, rules)
    if _is_foreign(path):
        return open_timm_folder(path, rules)
    is_ours = path.is_dir() and (path / CARD_FILE).is_file()
    encoder = Encoder.load(path) if is_ours or not path.exists() else import_encoder(path)
    if rules.mean or rules.std:
        raise RecipeError(
            f"what.input: {place} says itself how its images are standardised; leave mean and std "
            "out"
        )
    return encoder if rules.img_px is None else encoder.at_size(rules.img_px)


def _is_foreign(path: Path) -> bool:
    """Whether it is a Hugging Face folder that rspipe did not write."""
    config = path / HUB_CONFIG
    if not config.is_file() or (path / CARD_FILE).is_file():
        return False
    try:
        card = json.loads(config.read_text())
    except ValueError:
        return False  # import_encoder says what is wrong with it
    return not (isinstance(card, dict) and HUB_CARD in card)


def _lines(judged: Judged) -> list[str]:
    """Say how the weights matched and what is read."""
    encoder = judged.network
    config, report = encoder.config, encoder.report
    matched, total = (len(report.matched), report.total) if report else (0, 0)
    height, width = config.size_px
    lines = [
        f"encoder {judged.source}: {matched} of {total} tensors matched",
        f"  reads {height} x {width} px, {', '.join(config.bands)} / 255, mean "
        f"{_listed(config.mean)}, std {_listed(config.std)}; "
        f"{config.grid[0]} x {config.grid[1]} tokens of {config.width}"
        f"{' and a class token' if encoder.has_class_token else ', no class token'}",
    ]
    if report:
        lines += [f"  {name}: {how}" for name, how in report.changed.items()]
        if report.dropped:
            lines.append(f"  left out: {', '.join(report.dropped)}")
        if report.filled and not matched:
            lines.append("  random weights")
    return lines


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_memory(encoder: Backbone) -> str:
    """Hash shape, statistics and all weights in memory, by name: for what is no file of ours."""
    digest = hashlib.sha256(encoder.config.model_dump_json().encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
