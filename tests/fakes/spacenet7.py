# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 7: monthly pictures of one place, outlines matched over time, masks of bad data."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set


def write(root):
    place = "L15-0331E-1257N_1327_3160_13"
    products, labels, months = [], {}, {}
    for month in ("2018_01", "2018_02"):
        stem = f"global_monthly_{month}_mosaic_{place}"
        best = f"train/{place}/images_masked/{stem}.tif"
        others = [
            f"train/{place}/images/{stem}.tif",
            f"train/{place}/UDM_masks/{stem}_UDM.tif",
            f"train/{place}/labels/{stem}_Buildings.geojson",
            f"train/{place}/labels_match_pix/{stem}_Buildings.geojson",
        ]
        products.append(("train", best, others))
        labels[best] = f"train/{place}/labels_match/{stem}_Buildings.geojson"
        months[best] = month.replace("_", "-")
    images, sidecars = chip_set(products, labels)
    for path, month in months.items():
        images[path]["acquired"] = month
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith("geojson")})
    return Expected("spacenet", images, frozenset(sidecars))
