# SPDX-License-Identifier: Apache-2.0
"""Pairs of one place at two times."""

import pytest

from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import write_files

CARD = DatasetCard(name="x", layout="change_pairs")


def pairs_of(listing):
    return {
        path: (record.split, record.annotation.pair_path, record.annotation.mask_path)
        for path, record in listing.images.items()
    }


def test_a_picture_that_could_have_two_partners_has_none(tmp_path):
    write_files(tmp_path, dict.fromkeys(["A/1.png", "A/1.tif", "B/1.png", "label/1.png"], b""))
    listing = read_dataset(FileTree.scan(tmp_path), CARD)
    assert set(pairs_of(listing).values()) == {(None, None, None)}
    assert len(listing.images) == 3


def test_pairs_are_mutual(tmp_path):
    names = [f"{f}/{i}.png" for f in ("A", "B", "label") for i in range(5)]
    write_files(tmp_path, dict.fromkeys(names, b""))
    images = read_dataset(FileTree.scan(tmp_path), CARD).images
    for path, record in images.items():
        assert images[record.annotation.pair_path].annotation.pair_path == path


def test_letters_as_class_folders_are_no_change_pairs(tmp_path):
    write_files(tmp_path, dict.fromkeys([f"{f}/1.png" for f in "ABC"], b""))
    assert not READERS["change_pairs"].recognises(FileTree.scan(tmp_path))


@pytest.mark.real_data
@pytest.mark.parametrize("layout", ["auto", "change_pairs"])
def test_levircd_as_published_by_its_two_trees(real_data, layout):
    """Six crops told by name and four pictures told by folder, found by hand."""
    root = real_data / "layouts_synthetic/levircd"
    theirs = {}
    for path in root.rglob("A/*.png"):
        folder, name = path.parent.parent.relative_to(root).as_posix(), path.name
        split = folder.rpartition("/")[2] if "LEVIR-CD+" in folder else name.split("_")[0]
        a, b, mask = (f"{folder}/{part}/{name}" for part in ("A", "B", "label"))
        assert (root / b).is_file()
        assert (root / mask).is_file()
        theirs |= {a: (split, b, mask), b: (split, a, mask)}
    assert len(theirs) == 2 * (6 + 4)
    listing = read_dataset(FileTree.scan(root), DatasetCard(name="x", layout=layout))
    assert pairs_of(listing) == theirs
    assert len(listing.sidecars) == 10
