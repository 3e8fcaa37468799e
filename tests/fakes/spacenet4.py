# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 4: 27 views of one chip share its outlines; none of them is another's product."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set


def write(root):
    products, labels = [], {}
    chip = "732701_3730989"
    for view in (
        "Atlanta_nadir10_catid_1030010003993E00",
        "Atlanta_nadir53_catid_1030010003193300",
    ):
        best = f"train/{view}/Pan-Sharpen/Pan-Sharpen_{view}_{chip}.tif"
        products.append(("train", best, [f"train/{view}/MS/MS_{view}_{chip}.tif"]))
        labels[best] = f"train/geojson/spacenet-buildings/spacenet-buildings_{chip}.geojson"
    images, sidecars = chip_set(products, labels)
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith("geojson")})
    return Expected("spacenet", images, frozenset(sidecars))
