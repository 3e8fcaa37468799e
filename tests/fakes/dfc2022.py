# SPDX-License-Identifier: Apache-2.0
"""DFC2022: labeled_train/CITY/BDORTHO, RGEALTI and UrbanAtlas, each with a suffix of its own."""

from tests.fakes import Expected, write_files

_OPTIONS = {
    "images": "BDORTHO",
    "masks": "UrbanAtlas",
    "mask_suffix": "_UA2012",
    "sidecars": {"(^|/)RGEALTI/": "elevation"},
    "splits": ["labeled_train", "unlabeled_train", "val"],
}


def write(root):
    city = "labeled_train/Nice"
    mask = f"{city}/UrbanAtlas/06-2014-1007_UA2012.tif"
    images = {
        f"{city}/BDORTHO/06-2014-1007.tif": {"split": "labeled_train", "mask_path": mask},
        "unlabeled_train/Calais/BDORTHO/62-2012-0591.tif": {"split": "unlabeled_train"},
        "val/Marseille/BDORTHO/13-2014-0872.tif": {"split": "val"},
    }
    elevation = {f"{city}/RGEALTI/06-2014-1007_RGEALTI.tif"}
    write_files(root, dict.fromkeys([*images, *elevation, mask]))
    return Expected("mask_pairs", images, frozenset({mask, *elevation}), options=_OPTIONS)
