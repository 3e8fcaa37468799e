# SPDX-License-Identifier: Apache-2.0
"""What the page's script reads: columns of the rows, counts of everything, pictures."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rspipe import __version__
from rspipe.corpus.stats import GSD_EDGES_M
from rspipe.report import words
from rspipe.report.browser.census import ANNOTATIONS, DIMENSIONS, KEPT, Cell, fate_of, key_of
from rspipe.report.browser.gather import WINDOWS_SHOWN, Gathered

MEASURES = {
    "nodata_fraction": ("without data", None, "max_nodata_fraction"),
    "flatness": ("flat", None, "max_flatness"),
    "saturated_fraction": ("overexposed", None, "max_saturated_fraction"),
    "black_fraction": ("black", None, "max_black_fraction"),
    "cloud_fraction": ("cloud-like", None, "max_cloud_fraction"),
    "mean_grey": ("mean grey level", "min_mean_grey", "max_mean_grey"),
    "std_grey": ("contrast (deviation of grey)", "min_std_grey", None),
    "sharpness": ("sharpness (variance of the Laplacian)", "min_sharpness", None),
}
"""Measure → words, and the keys of its limits in the recipe's `screen` section."""
_ALL_WINDOWS = 100_000
"""Windows drawn over the whole page; later images are shown without theirs."""
_LEDGER_COLUMNS = (
    *("tile_id", "dataset", "dataset_version", "split", "source_path", "image_id"),
    *("source_sha256", "source_size_bytes", "y0", "x0", "h", "w", "scale"),
    *("stretch_low", "stretch_high", "original_bytes", "height", "width", "bands", "format"),
    *("licence", "annotation_note", *MEASURES, "drop_detail", "cluster_id", "cluster_size"),
    *("cluster_diameter_bits", "duplicate_of", "distance_bits", "orientation"),
    *("verified_similarity", "overlap_iou", "benchmark_hit"),
)
_DETAIL_COLUMNS = (
    *("attribution", "licence_url", "redistributable", "gsd_m", "crs", "xmin", "ymin", "xmax"),
    *("ymax", "acquired", "sensor", "cloud_cover", "label", "caption", "pair_path", "mask"),
)
_HIT_COLUMNS = (
    *("tile_id", "matched_tile_id", "benchmark", "benchmark_split", "benchmark_path"),
    *("benchmark_tile_id", "kind", "distance_bits", "orientation", "similarity"),
)
_LIMITED = ("exclude", "slice", "screen", "dedup", "leakage")


@dataclass(frozen=True)
class Contents:
    """Everything that the page is made of."""

    manifest: Mapping[str, Any]
    cells: Counter[Cell]
    sample: Mapping[str, Any]
    """How it was drawn."""
    gathered: Gathered
    details: Mapping[str, Mapping[str, Any]]
    """Of kept tiles: columns of the corpus."""
    pictures: Mapping[str, bytes]
    """WebP by tile id."""


def payload_of(contents: Contents) -> dict[str, Any]:
    """Lay the page's contents out as JSON-able values."""
    rows = contents.gathered.rows
    keys = key_of(rows).to_pylist()
    fates = fate_of(rows).to_pylist()
    manifest = contents.manifest
    what = manifest["recipe"].get("what", {})
    return {
        "corpus": {
            "name": manifest["name"],
            "fingerprint": manifest["fingerprint"],
            "schema_version": manifest["schema_version"],
            "code_commit": manifest.get("code_commit"),
            "rspipe": __version__,
        },
        "funnel": [_step(step) for step in manifest["funnel"]],
        "fates": _fates(contents.cells, fates),
        "orientations": words.ORIENTATIONS,
        "annotations": ANNOTATIONS,
        "gsd_edges_m": GSD_EDGES_M,
        "measures": MEASURES,
        "limits": {key: what.get(key) or {} for key in _LIMITED},
        "cells": _cells(contents.cells),
        "sample": {**contents.sample, "total": sum(contents.cells.values())},
        "tiles": {
            "key": keys,
            "fate": coded(fates),
            **{name: _column(rows[name]) for name in _LEDGER_COLUMNS},
            **_details(keys, contents.details),
            "copies": [contents.gathered.copies.get(key, 0) for key in keys],
        },
        "hits": {n: _column(contents.gathered.hits[n]) for n in _HIT_COLUMNS},
        "images": _images(contents.gathered.windows, keys),
        "pictures": [_encoded(contents.pictures.get(key)) for key in keys],
    }


def coded(values: Iterable[Any]) -> dict[str, Any]:
    """Write repeated values once.

    >>> coded(["a", "b", "a"])
    {'values': ['a', 'b'], 'codes': [0, 1, 0]}
    """
    listed = list(values)
    codes = {value: code for code, value in enumerate(dict.fromkeys(listed))}
    return {"values": list(codes), "codes": [codes[value] for value in listed]}


def _column(values: pa.ChunkedArray) -> Any:
    if pa.types.is_floating(values.type):
        return _rounded(values.to_pylist())
    listed = values.to_pylist()
    is_repeated = pa.types.is_string(values.type) and len(set(listed)) * 2 < len(listed)
    return coded(listed) if is_repeated else listed


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    """Keep 5 digits: more are noise, and make the page large."""
    return [None if value is None else float(f"{value:.5g}") for value in values]


def _details(keys: Sequence[str], details: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _DETAIL_COLUMNS:
        values = [details.get(key, {}).get(name) for key in keys]
        found[name] = coded(values)
    found["boxes"] = [details.get(key, {}).get("boxes") for key in keys]
    return found


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    dropped = sorted(step["dropped"].items(), key=lambda item: (-item[1], item[0]))
    return {
        "stage": step["stage"],
        "words": words.STAGES.get(step["stage"], ""),
        "unit": step["unit"],
        "rows_in": step["rows_in"],
        "kept": step["kept"],
        "dropped": [[f"{step['stage']}.{reason}", count] for reason, count in dropped],
        "held_out": step.get("benchmark_tiles_held_out", 0),
        "images_in": step.get("images_in"),
    }


def _fates(cells: Counter[Cell], on_page: Iterable[str]) -> list[list[str]]:
    """List what can become of a row, with words, in the order of the stages."""
    place = {stage: index for index, stage in enumerate([KEPT, *words.STAGES])}
    found = {cell[1] for cell in cells} | set(on_page)
    order = sorted(found, key=lambda fate: (place.get(fate.partition(".")[0], 99), fate))
    return [[fate, _words_of(fate)] for fate in order]


def _words_of(fate: str) -> str:
    return KEPT if fate == KEPT else words.of_reason(fate.partition(".")[2])


def _cells(cells: Counter[Cell]) -> dict[str, Any]:
    ordered = sorted(cells.items())
    columns = {name: [cell[i] for cell, _ in ordered] for i, name in enumerate(DIMENSIONS)}
    texts = {name: coded(columns[name]) for name in DIMENSIONS[:4]}
    numbers = {name: columns[name] for name in DIMENSIONS[4:]}
    return {**texts, **numbers, "count": [count for _, count in ordered]}


def _images(windows: pa.Table, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the images that are shown cut, with their windows unless there are too many."""
    row_of = {key: row for row, key in enumerate(keys)}
    images: dict[str, dict[str, Any]] = {}
    for window in windows.to_pylist():
        image = images.setdefault(
            window["image_id"],
            {
                "id": window["image_id"],
                "dataset": window["dataset"],
                "path": window["source_path"],
                "parent": None,
                "height": 0,
                "width": 0,
                "windows": [],
            },
        )
        image["height"] = max(image["height"], window["y0"] + window["h"])
        image["width"] = max(image["width"], window["x0"] + window["w"])
        if window["level"] == "parent":
            image["parent"] = window["tile_id"]
        else:
            image["windows"].append(_window(window, row_of))
    return _bounded(list(images.values()))


def _window(window: Mapping[str, Any], row_of: Mapping[str, int]) -> list[Any]:
    grey = None if window["mean_grey"] is None else round(window["mean_grey"])
    box = (window[name] for name in ("y0", "x0", "h", "w"))
    return [row_of.get(window["tile_id"], -1), *box, window["fate"], grey]


def _bounded(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left = _ALL_WINDOWS
    for image in images:
        image["count"] = len(image["windows"])
        if image["count"] > min(WINDOWS_SHOWN, left):
            image["windows"] = [window for window in image["windows"] if window[0] >= 0]
        left -= len(image["windows"])
        image["fates"] = coded(window[5] for window in image["windows"])
        image["windows"] = [[*w[:5], w[6]] for w in image["windows"]]
    return images


def _encoded(picture: bytes | None) -> str | None:
    return None if picture is None else base64.b64encode(picture).decode()
