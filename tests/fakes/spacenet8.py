# SPDX-License-Identifier: Apache-2.0
"""SpaceNet 8: before and after a flood, outlines of one chip for both, regions that count anew."""

from tests.fakes import Expected, write_files
from tests.fakes.spacenet_chips import POLYGONS

_OPTIONS = {"images": ["PRE-event", "POST-event"], "labels": "annotations"}
MAPPING = "label,pre-event image,post-event image 1,post-event image 2\n"


def write(root):
    images, sidecars, files = {}, set(), {}
    for region, before, after in (
        ("Germany", "10500500C4DD7000", "10500500E6DD3C00"),
        ("Louisiana-East", "10400100684A4B00", "10300100AF395C00"),
    ):
        base = f"train/{region.lower()}/{region}_Training_Public"
        chip = "0_15_63"
        pre, post = f"{base}/PRE-event/{before}_{chip}.tif", f"{base}/POST-event/{after}_{chip}.tif"
        outlines = f"{base}/annotations/{chip}.geojson"
        said = {"split": "train", "footprints_path": outlines}
        images |= {pre: said | {"pair_path": post}, post: said | {"pair_path": pre}}
        table = f"{base}/{region}_Training_Public_label_image_mapping.csv"
        files[table] = f"{MAPPING}{chip}.geojson,{before}_{chip}.tif,{after}_{chip}.tif,\n"
        files[outlines] = POLYGONS
        sidecars |= {outlines, table}
    write_files(root, dict.fromkeys(images) | files)
    return Expected("spacenet", images, frozenset(sidecars), options=_OPTIONS)
