# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 2: four cities with equal numbers; geojson/buildings; a summary table."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set


def write(root):
    products, labels = [], {}
    for city in ("AOI_2_Vegas", "AOI_3_Paris"):
        for end, split in (("Train", "train"), ("Test_public", "test")):
            folder = f"{city}_{end}"
            best = f"{folder}/RGB-PanSharpen/RGB-PanSharpen_{city}_img7.tif"
            others = [f"{folder}/{p}/{p}_{city}_img7.tif" for p in ("MUL", "MUL-PanSharpen", "PAN")]
            products.append((split, best, others))
            if split == "train":
                labels[best] = f"{folder}/geojson/buildings/buildings_{city}_img7.geojson"
    images, sidecars = chip_set(products, labels)
    sidecars.add("AOI_2_Vegas_Train/summaryData/AOI_2_Vegas_Train_Building_Solutions.csv")
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith(("geojson", "csv"))})
    return Expected("spacenet", images, frozenset(sidecars))
