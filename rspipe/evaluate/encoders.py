"""What is judged: encoders, and the floors that any encoder has to beat."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from rspipe.models.encoder import Encoder
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
