# SPDX-License-Identifier: Apache-2.0
"""ISPRS Vaihingen as its two archives unpack: masks at the root, under the images' own names."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "image_pattern": r"(?:^|/)top/(top_mosaic_09cm_area\d+)\.tif$",
    "mask_pattern": [
        r"(?:^|\.(?:zip|tar)/)(top_mosaic_09cm_area\d+)\.tif$",
        r"/gts_for_participants/(top_mosaic_09cm_area\d+)\.tif$",
        r"(top_mosaic_09cm_area\d+)_noBoundary\.tif$",
    ],
    "sidecars": {"(^|/)dsm/": "surface model"},
}


def write(root):
    base = "ISPRS_semantic_labeling_Vaihingen"
    images = {
        f"{base}/top/top_mosaic_09cm_area1.tif": {"mask_path": "top_mosaic_09cm_area1.tif"},
        f"{base}/top/top_mosaic_09cm_area11.tif": {"mask_path": "top_mosaic_09cm_area11.tif"},
        f"{base}/top/top_mosaic_09cm_area2.tif": {
            "mask_path": f"{base}/gts_for_participants/top_mosaic_09cm_area2.tif"
        },
    }
    others = {
        f"{base}/gts_for_participants/top_mosaic_09cm_area1.tif",
        f"{base}/dsm/dsm_09cm_matching_area1.tif",
        "top_mosaic_09cm_area1_noBoundary.tif",
    }
    sidecars = {said["mask_path"] for said in images.values()} | others
    write_files(root, dict.fromkeys([*images, *sidecars]))
    return Expected("mask_pairs", images, frozenset(sidecars), options=_OPTIONS, recognised=False)
