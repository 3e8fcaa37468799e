# SPDX-License-Identifier: Apache-2.0
"""Frozen features of whole images on disk: encoded once, read by every probe.

A folder per encoder, benchmark and preprocessing holds `pooled.npy` (float32), `tokens.npy`
where a probe pools tokens by itself, both memory-mapped, and `meta.json`, which is written last
and says that the others are whole. Tokens are kept as they are before the final LayerNorm; the
norm is applied when they are read. Registers are none of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rspipe.errors import RspipeError, UnfitEncoder
from rspipe.io.tables import read_json, write_json

Norm = Literal["pre", "post"]
Indices = Int[np.ndarray, " n"]

WHOLE = "whole"
"""The one kind of vectors of what is no encoder."""


def kinds_of(pooling: str, norm: Norm, has_class_token: bool) -> tuple[str, ...]:
    """Name the pooled vectors, as `Backbone.vectors` names them, that stand end to end.

    Raises:
        UnfitEncoder: the class token is asked for, and the encoder has none.

    >>> kinds_of("both", "post", has_class_token=True)
    ('post/cls', 'post/mean')
    """
    wanted = ("cls", "mean") if pooling == "both" else (pooling,)
    if "cls" in wanted and not has_class_token:
        raise UnfitEncoder(f"what.pooling={pooling}: it has no class token; use mean")
    return tuple(f"{norm}/{name}" for name in wanted)


@dataclass(frozen=True)
class FrozenTokens:
    """Features of the images of a benchmark by one encoder; row i belongs to image i."""

    pooled: Float[np.ndarray, "n kinds D"]
    """float32, mapped from a file."""
    kinds: tuple[str, ...]
    """Those of `Backbone.vectors`, or `WHOLE`."""
    grid: tuple[int, int] | None = None
    """Patches down and across; None where there are no tokens."""
    stored: Float[np.ndarray, "n T D"] | None = None
    """The class token first, if there is one; before the final norm; mapped from a file."""
    norm: nn.Module | None = None
    """The final LayerNorm: a copy, moved to where tokens are read."""

    def vectors(self, images: Indices, pooling: str, norm: Norm) -> Float[np.ndarray, "m D"]:
        """Read one vector per image: class token, mean of the patch tokens, or both end to end.

        Raises:
            UnfitEncoder: the class token is asked for, and the encoder has none.
        """
        if self.kinds == (WHOLE,):
            return np.asarray(self.pooled[images, 0])
        wanted = kinds_of(pooling, norm, self.has_class_token)
        return np.concatenate(
            [self.pooled[images, self.kinds.index(kind)] for kind in wanted], axis=1
        )

    @property
    def has_class_token(self) -> bool:
        """Whether the first token is one of the whole image."""
        return "pre/cls" in self.kinds

    def tokens(
        self, images: Indices, norm: Norm, class_token: bool, device: torch.device
    ) -> Float[Tensor, "m T D"]:
        """Read the patch tokens of some images, float32, with the class token before them or not.

        They go to the device as they are stored, and are cast and normed there.

        Raises:
            RspipeError: the encoder has no tokens, or they were not asked for when extracting.
            UnfitEncoder: the class token is asked for, and the encoder has none.
        """
        if self.stored is None or self.norm is None:
            raise RspipeError("no tokens were extracted for this encoder; only pooled vectors")
        if class_token and not self.has_class_token:
            raise UnfitEncoder("class_token=true: it has no class token; leave that out")
        first = 0 if class_token or not self.has_class_token else 1
        stored = torch.from_numpy(self.stored[images, first:])
        tokens = stored.to(device).float()
        if norm == "pre":
            return tokens
        with torch.no_grad():
            normed: Tensor = self.norm.to(device)(tokens)
        return normed


@dataclass(frozen=True)
class TokenFolder:
    """The files of one encoder on one benchmark."""

    path: Path

    def meta(self, with_tokens: bool) -> dict[str, Any] | None:
        """Read what finished files hold; None where files are absent or lack wanted tokens."""
        if not (self.path / "meta.json").is_file():
            return None
        meta: dict[str, Any] = read_json(self.path / "meta.json")
        return meta if meta["has_tokens"] or not with_tokens else None

    def open(self, meta: dict[str, Any], norm: nn.Module | None) -> FrozenTokens:
        """Map finished files."""
        count = len(meta["positions"])
        stored = np.load(self.path / "tokens.npy", mmap_mode="r") if meta["has_tokens"] else None
        return FrozenTokens(
            # The files have a row for each listed image; those of unreadable ones stay unused.
            pooled=_mapped(self.path / "pooled.npy", count),
            kinds=tuple(meta["kinds"]),
            grid=tuple(meta["grid"]) if meta["grid"] else None,
            stored=stored[:count] if stored is not None else None,
            norm=norm,
        )


def _mapped(path: Path, count: int) -> Float[np.ndarray, "n kinds D"]:
    rows: np.ndarray = np.load(path, mmap_mode="r") if path.is_file() else np.empty((0, 1, 1))
    return rows[:count]


class TokenWriter:
    """Fills a folder batch by batch; nothing but the batch is held."""

    def __init__(self, folder: TokenFolder, most: int, dtype: str) -> None:
        """Begin anew.

        Args:
            folder: where to.
            most: images at most.
            dtype: of tokens: `float16` or `float32`.
        """
        self.path = folder.path
        self.most = most
        self.dtype = dtype
        self.written = 0
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("meta.json", "pooled.npy", "tokens.npy"):
            (self.path / name).unlink(missing_ok=True)
        self._pooled: np.memmap | None = None
        self._tokens: np.memmap | None = None

    def add(
        self,
        pooled: Float[np.ndarray, "b kinds D"],
        tokens: Float[np.ndarray, "b T D"] | None = None,
    ) -> None:
        """Append the features of some images.

        Raises:
            RspipeError: a feature is not finite, or a token too large for float16.
        """
        rows = slice(self.written, self.written + len(pooled))
        self._pooled = self._write("pooled", self._pooled, rows, pooled, "float32")
        if tokens is not None:
            self._tokens = self._write("tokens", self._tokens, rows, tokens, self.dtype)
        self.written = rows.stop

    def finish(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Write out everything, then what says that it is whole; return that."""
        for mapped in (self._pooled, self._tokens):
            if mapped is not None:
                mapped.flush()
        meta = {**meta, "has_tokens": self._tokens is not None}
        write_json(meta, self.path / "meta.json")
        return meta

    def _write(
        self, name: str, mapped: np.memmap | None, rows: slice, values: np.ndarray, dtype: str
    ) -> np.memmap:
        if mapped is None:
            shape = (self.most, *values.shape[1:])
            mapped = np.lib.format.open_memmap(
                self.path / f"{name}.npy", "w+", dtype=np.dtype(dtype), shape=shape
            )
        with np.errstate(over="ignore"):  # too large for float16: named below
            mapped[rows] = values
        if not np.isfinite(mapped[rows]).all():
            raise RspipeError(
                f"{self.path}: {name} of an image are not finite in {dtype} (largest "
                f"{np.abs(values).max():.3g}); if they are sound, set what.features_dtype=float32"
            )
        return mapped
