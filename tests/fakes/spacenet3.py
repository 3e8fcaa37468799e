# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 3 and 5: roads; two files of outlines per chip, the card's choice is taken."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set

_OPTIONS = {"images": ["PS-RGB"], "labels": ["geojson_roads"]}


def write(root):
    products, labels, speeds = [], {}, set()
    for place, chip in (
        ("SN3_roads_train_AOI_2_Vegas", "img9"),
        ("SN5_roads_train_AOI_7_Moscow", "chip0"),
    ):
        folder = f"train/{place.removeprefix('SN3_roads_train_').removeprefix('SN5_roads_train_')}"
        best = f"{folder}/PS-RGB/{place}_PS-RGB_{chip}.tif"
        products.append(("train", best, [f"{folder}/PS-MS/{place}_PS-MS_{chip}.tif"]))
        labels[best] = f"{folder}/geojson_roads/{place}_geojson_roads_{chip}.geojson"
        speeds.add(f"{folder}/geojson_roads_speed/{place}_geojson_roads_speed_{chip}.geojson")
    images, sidecars = chip_set(products, labels)
    sidecars |= speeds
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith("geojson")})
    return Expected("spacenet", images, frozenset(sidecars), options=_OPTIONS)
