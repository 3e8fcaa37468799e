"""What is judged: encoders, and the floors that any encoder has to beat."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import typer
from jaxtyping import Float, UInt8

from rspipe.errors import RecipeError
from rspipe.io.tables import read_json
from rspipe.models.encoder import CARD_FILE, WEIGHTS_FILE, Encoder
from rspipe.models.importing import import_encoder
from rspipe.models.shapes import RGB
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

    encoder: Encoder | ImageStatistics | NoEncoder
    sha256: str
    """Of its weights; of its definition where it has none."""
    corpus_fingerprint: str | None = None
    """Of the corpus that its run read; None where no run says so."""

    @property
    def network(self) -> Encoder:
        """The encoder itself, for protocols that train it.

        Raises:
            TypeError: it is a floor, which has no weights.
        """
        if not isinstance(self.encoder, Encoder):
            raise TypeError(f"{type(self.encoder).__name__} has no weights to train")
        return self.encoder

    @property
    def gives(self) -> frozenset[Gives]:
        """Which protocols can read it: a majority vote is asked for once, of no encoder."""
        if isinstance(self.encoder, Encoder):
            return frozenset({"tokens", "vectors"})
        return frozenset({"vectors" if isinstance(self.encoder, ImageStatistics) else "labels"})


def open_encoder(place: str) -> Judged:
    """Read an encoder: of a run, of a Hugging Face folder, or of a weights file that says enough.

    How many tensors matched is printed; nothing is loaded that does not match wholly.

    Args:
        place: a folder or a file.

    Raises:
        RecipeError: it reads other bands than red, green and blue, in this order.
        WeightsError: it is not whole, or does not say all that must be known to feed it (then
            `rspipe weights import` makes a folder of it that does).
    """
    path = Path(place)
    is_ours = path.is_dir() and (path / CARD_FILE).is_file()
    encoder = Encoder.load(path) if is_ours or not path.exists() else import_encoder(path)
    if encoder.config.bands != RGB:
        raise RecipeError(
            f"encoder={place} reads the bands {', '.join(encoder.config.bands)}; benchmarks are "
            f"{', '.join(RGB)}. Reorder its bands with `rspipe weights import --bands`"
        )
    matched = len(encoder.report.matched) if encoder.report else 0
    total = encoder.report.total if encoder.report else 0
    typer.echo(f"  encoder {place}: {matched} of {total} tensors matched")
    weights = path / WEIGHTS_FILE
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest() if is_ours else of_memory(encoder)
    return Judged(encoder, sha256, _corpus_of(path, sha256))


def _corpus_of(run: Path, sha256: str) -> str | None:
    """Read which corpus made these very weights, where the run's manifest says so."""
    manifest = run / "manifest.json"
    said = read_json(manifest) if manifest.is_file() else {}
    is_of_these = isinstance(said, dict) and said.get("encoder_sha256") == sha256
    return str(said["corpus_fingerprint"]) if is_of_these and "corpus_fingerprint" in said else None


def of_memory(encoder: Encoder) -> str:
    """Hash shape, statistics and all weights in memory, by name: for what is no file of ours."""
    digest = hashlib.sha256(encoder.config.model_dump_json().encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
