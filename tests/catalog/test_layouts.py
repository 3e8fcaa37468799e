# SPDX-License-Identifier: Apache-2.0
"""The catalog's cards make readers find what lies in the published layouts (pixels are noise)."""

import pytest

from rspipe.catalog import catalog
from rspipe.readers import FileTree, Storage, read_dataset

# Folder → card, and how many of its images carry which part of an annotation.
LAYOUTS = {
    "deepglobelandcover": ("deepglobe_landcover", {"mask_path": 6}),
    "dior": ("dior", {"boxes": 6}),
    "gid15": ("gid15", {"mask_path": 4}),
    "inria": ("inria", {"mask_path": 7}),
    "levircd": ("levir_cd", {"mask_path": 20, "pair_path": 20}),
    "loveda": ("loveda", {"mask_path": 4}),
    "potsdam": ("potsdam", {"mask_path": 4}),
    "resisc45": ("resisc45", {"label": 9}),
    "ucmerced": ("ucmerced", {"label": 2}),
    "vaihingen": ("vaihingen", {"mask_path": 4}),
    "vhr10": ("vhr10", {"boxes": 10}),
    "xview2": ("xbd", {"mask_path": 8}),
}


@pytest.mark.real_data
@pytest.mark.parametrize("folder", LAYOUTS)
def test_a_card_makes_its_reader_find_the_annotations(folder, real_data, tmp_path):
    name, parts = LAYOUTS[folder]
    tree = FileTree.scan(Storage(str(real_data / "layouts_synthetic" / folder), tmp_path))
    listing = read_dataset(tree, catalog()[name])
    # The fake of RESISC-45 puts every name into all three lists.
    assert all("stand in another list" in why for why in listing.faults.values())
    for part, count in parts.items():
        said = [getattr(r.annotation, part) for r in listing.images.values()]
        assert sum(value is not None for value in said) == count
