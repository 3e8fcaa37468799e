# SPDX-License-Identifier: Apache-2.0
"""Fills the feature files of a benchmark: every image decoded once, for all encoders together.

Images of any size and shape are resized (bilinear, antialiased) to the encoder's img_px, so that
no position is interpolated. Memory is that of one batch, whatever the number of images.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from rspipe.errors import RspipeError, UnreadableImage
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.encoders import ImageStatistics, Judged, NoEncoder
from rspipe.evaluate.frozen.features import Extraction, Features, resize
from rspipe.evaluate.frozen.tokens import WHOLE, TokenFolder, TokenWriter
from rspipe.io.images import decode, to_rgb
from rspipe.models.backbone import Backbone
from rspipe.progress import track
from rspipe.recipe import fingerprint

# Raised by every change that moves features.
TOKENS_VERSION = 1


@dataclass(frozen=True)
class TokenCache:
    """Where feature files are, and what they are made with."""

    root: Path
    dtype: str
    """Of tokens: `float16` or `float32`."""
    batch: int
    """Images per forward pass."""
    device: torch.device
    """Where the encoders are."""

    def folder(self, benchmark: Benchmark, judged: Judged) -> TokenFolder:
        """Name the files of one encoder on one benchmark after all that decides them."""
        config = judged.encoder.config if isinstance(judged.encoder, Backbone) else None
        name = fingerprint(TOKENS_VERSION, benchmark.listing, judged.sha256, config, self.dtype)
        return TokenFolder(self.root / name)


def extract_tokens(
    benchmark: Benchmark,
    encoders: Mapping[str, Judged],
    with_tokens: frozenset[str],
    cache: TokenCache,
) -> Extraction:
    """Encode the images of a benchmark by every encoder whose files are not there yet.

    Args:
        benchmark: images that neither train nor are scored are left out.
        encoders: by label.
        with_tokens: labels of those whose tokens are wanted, not their pooled vectors alone.
        cache: where the files are.

    Raises:
        RspipeError: a feature is not finite, or files were made of other images.
    """
    folders = {label: cache.folder(benchmark, judged) for label, judged in encoders.items()}
    metas = {label: folder.meta(label in with_tokens) for label, folder in folders.items()}
    readers = {
        label: _reader_of(
            encoders[label],
            TokenWriter(folders[label], len(benchmark.used()), cache.dtype),
            label in with_tokens,
            cache,
        )
        for label, meta in metas.items()
        if meta is None
    }
    if readers:
        seen = _read_all(benchmark, list(readers.values()))
        for label, reader in readers.items():
            metas[label] = reader.finish(seen)
    return _opened(benchmark, encoders, folders, {k: m for k, m in metas.items() if m is not None})


@dataclass
class _Seen:
    """The images that could be read, and those that could not."""

    positions: list[int] = field(default_factory=list)
    sizes_px: list[list[int]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class _Reader(Protocol):
    """Takes images one by one and writes their features."""

    def take(self, image: UInt8[np.ndarray, "H W 3"]) -> None: ...

    def finish(self, seen: _Seen) -> dict[str, Any]: ...


class _DescribingReader:
    """One vector per image, of the image as published."""

    def __init__(self, describer: ImageStatistics | NoEncoder, writer: TokenWriter) -> None:
        self.describer = describer
        self.writer = writer

    def take(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        self.writer.add(self.describer.describe(image)[None, None])

    def finish(self, seen: _Seen) -> dict[str, Any]:
        shape = {"kinds": [WHOLE], "grid": None, "input_px": [0, 0]}
        return self.writer.finish({**vars(seen), **shape})


class _EncodingReader:
    """Pooled vectors, and tokens where they are wanted, of images resized for the encoder."""

    def __init__(
        self, encoder: Backbone, writer: TokenWriter, with_tokens: bool, cache: TokenCache
    ) -> None:
        self.encoder = encoder
        self.writer = writer
        self.with_tokens = with_tokens
        self.cache = cache
        self.waiting: list[np.ndarray] = []
        self.kinds: list[str] = []

    def take(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        self.waiting.append(resize(image, self.encoder.config.size_px))
        if len(self.waiting) == self.cache.batch:
            self._encode()

    def finish(self, seen: _Seen) -> dict[str, Any]:
        if self.waiting:
            self._encode()
        config = self.encoder.config
        shape = {"grid": list(config.grid), "input_px": list(config.size_px)}
        return self.writer.finish({**vars(seen), "kinds": self.kinds, **shape})

    @torch.inference_mode()
    def _encode(self) -> None:
        inputs = self.encoder.preprocess(np.stack(self.waiting)).to(self.cache.device)
        self.waiting = []
        before = self.encoder.tokens(inputs, final_norm=False)
        pooled = self.encoder.vectors(before)
        self.kinds = list(pooled)
        vectors = torch.stack(list(pooled.values()), dim=1).float().cpu().numpy()
        self.writer.add(vectors, before.float().cpu().numpy() if self.with_tokens else None)


def _reader_of(
    judged: Judged, writer: TokenWriter, with_tokens: bool, cache: TokenCache
) -> _Reader:
    if isinstance(judged.encoder, Backbone):
        return _EncodingReader(judged.encoder, writer, with_tokens, cache)
    return _DescribingReader(judged.encoder, writer)


def _read_all(benchmark: Benchmark, readers: list[_Reader]) -> _Seen:
    seen = _Seen()
    for position in track(benchmark.used().tolist(), f"{benchmark.name}: encode", unit="image"):
        path = benchmark.records[position].source_path
        try:
            image = to_rgb(decode(benchmark.storage.read_bytes(path), path))
        except (UnreadableImage, OSError) as error:
            reason = error.reason if isinstance(error, UnreadableImage) else str(error)
            seen.unreadable[path] = reason
            continue
        seen.positions.append(position)
        seen.sizes_px.append([image.shape[0], image.shape[1]])
        for reader in readers:
            reader.take(image)
    return seen


def _opened(
    benchmark: Benchmark,
    encoders: Mapping[str, Judged],
    folders: Mapping[str, TokenFolder],
    metas: Mapping[str, dict[str, Any]],
) -> Extraction:
    features = {
        label: Features(
            sizes_px=np.array(meta["sizes_px"], dtype=np.int64).reshape(-1, 2),
            input_px=(meta["input_px"][0], meta["input_px"][1]),
            images=folders[label].open(meta, _norm_of(encoders[label])),
        )
        for label, meta in metas.items()
    }
    meta = next(iter(metas.values()))
    for label, other in metas.items():
        if other["positions"] != meta["positions"]:
            raise RspipeError(
                f"{folders[label].path}: made when other images of {benchmark.name} could be read; "
                "delete it and run again"
            )
    kept = benchmark.keep(np.array(meta["positions"], dtype=np.int64))
    return Extraction(kept, features, dict(meta["unreadable"]))


def _norm_of(judged: Judged) -> nn.Module | None:
    if not isinstance(judged.encoder, Backbone):
        return None
    norm = deepcopy(judged.encoder.final_norm).eval()
    return norm.requires_grad_(False)
