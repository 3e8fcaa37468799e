# SPDX-License-Identifier: Apache-2.0
"""ISPRS Potsdam: products and masks of one tile in folders of their own, told by suffix."""

from tests.fakes import Expected, write_files

_TILES = ("2_10", "2_11", "7_7")
_OPTIONS = {
    "images": ["2_Ortho_RGB", "4_Ortho_RGBIR", "3_Ortho_IRRG"],
    "image_suffix": ["_RGB", "_RGBIR", "_IRRG"],
    "masks": ["5_Labels_all", "5_Labels_all_noBoundary", "."],
    "mask_suffix": ["_label", "_label_noBoundary"],
    "sidecars": {"(^|/)1_DSM": "surface model"},
}


def write(root):
    images, sidecars, files = {}, set(), {}
    for tile in _TILES:
        rgb = f"2_Ortho_RGB/top_potsdam_{tile}_RGB.tif"
        mask = f"5_Labels_all/top_potsdam_{tile}_label.tif"
        images[rgb] = {"mask_path": mask}
        sidecars |= {
            mask,
            f"2_Ortho_RGB/top_potsdam_{tile}_RGB.tfw",
            f"3_Ortho_IRRG/top_potsdam_{tile}_IRRG.tif",
            f"4_Ortho_RGBIR/top_potsdam_{tile}_RGBIR.tif",
            f"5_Labels_all_noBoundary/top_potsdam_{tile}_label_noBoundary.tif",
            f"1_DSM/dsm_potsdam_{tile}.tif",
        }
    # One tile without its RGB product: the next best one is its image.
    files = dict.fromkeys([*images, *sidecars])
    del files["2_Ortho_RGB/top_potsdam_7_7_RGB.tif"]
    said = images.pop("2_Ortho_RGB/top_potsdam_7_7_RGB.tif")
    sidecars.remove("4_Ortho_RGBIR/top_potsdam_7_7_RGBIR.tif")
    images["4_Ortho_RGBIR/top_potsdam_7_7_RGBIR.tif"] = said
    write_files(root, files)
    return Expected("mask_pairs", images, frozenset(sidecars), options=_OPTIONS, recognised=False)
