# SPDX-License-Identifier: Apache-2.0
"""GeoNRW: per city N_N_rgb.jp2, N_N_seg.tif and an elevation model N_N_dem.tif."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "image_suffix": "_rgb",
    "mask_suffix": "_seg",
    "sidecars": {r"_dem\.tif$": "elevation"},
    "split_patterns": {"test": "(^|/)(duesseldorf|herne|neuss)/", "train": "/"},
}


def write(root):
    images, sidecars = {}, set()
    for city, split in (("aachen", "train"), ("herne", "test")):
        place = f"{city}/290_5626"
        images[f"{place}_rgb.jp2"] = {"split": split, "mask_path": f"{place}_seg.tif"}
        sidecars |= {f"{place}_seg.tif", f"{place}_dem.tif"}
    write_files(root, dict.fromkeys([*images, *sidecars]))
    return Expected("mask_pairs", images, frozenset(sidecars), options=_OPTIONS)
