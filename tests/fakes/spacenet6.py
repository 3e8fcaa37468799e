# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 6: optical and radar products of Rotterdam; a test split that is radar only."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS, chip_set

_OPTIONS = {"images": "PS-RGB", "labels": "geojson_buildings"}


def write(root):
    base, when = "AOI_11_Rotterdam", "20190804111224_20190804111453"
    products, labels, radar = [], {}, set()
    for tile in (1, 12):

        def path(product, end="tif", folder=None, tile=tile):
            name = f"SN6_Train_{base}_{product}_{when}_tile_{tile}.{end}"
            return f"train/{base}/{folder or product}/{name}"

        best = path("PS-RGB")
        others = [path(p) for p in ("PAN", "RGBNIR", "PS-RGBNIR", "SAR-Intensity")]
        products.append(("train", best, others))
        labels[best] = path("Buildings", "geojson", "geojson_buildings")
        name = f"SN6_Test_Public_{base}_SAR-Intensity_{when}_tile_{tile}.tif"
        radar.add(f"test_public/{base}/SAR-Intensity/{name}")
    images, sidecars = chip_set(products, labels)
    sidecars |= radar
    files = dict.fromkeys([*images, *sidecars])
    write_files(root, files | {p: POLYGONS for p in files if p.endswith("geojson")})
    return Expected("spacenet", images, frozenset(sidecars), options=_OPTIONS)
