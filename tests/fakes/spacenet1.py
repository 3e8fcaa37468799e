# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 1: 3band and 8band, outlines named Geo_; test has the same numbers and no outlines."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set


def write(root):
    products, labels = [], {}
    for split in ("train", "test"):
        for number in (1, 2, 10):
            best = f"{split}/3band/3band_AOI_1_RIO_img{number}.tif"
            products.append((split, best, [f"{split}/8band/8band_AOI_1_RIO_img{number}.tif"]))
            if split == "train":
                labels[best] = f"train/vectordata/geojson/Geo_AOI_1_RIO_img{number}.geojson"
    images, sidecars = chip_set(products, labels)
    # Outlines of a chip that is not here.
    sidecars.add("train/vectordata/geojson/Geo_AOI_1_RIO_img11.geojson")
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith("geojson")})
    return Expected("spacenet", images, frozenset(sidecars))
