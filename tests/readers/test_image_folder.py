# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from pathlib import Path

import pytest

from rspipe.catalog import catalog
from rspipe.errors import RecipeError
from rspipe.readers import FileTree, read_dataset
from rspipe.schema import DatasetCard


def labels(tree, task="classification", **options):
    card = DatasetCard(name="x", layout="image_folder", task=task, options=options)
    listing = read_dataset(tree, card)
    return {path: (r.split, r.annotation.label) for path, r in listing.images.items()}


def test_class_folders_give_label_and_split(tree):
    files = tree({"train/forest/a.png": None, "test/river/b.png": None, "c.png": None})
    assert labels(files) == {
        "train/forest/a.png": ("train", "forest"),
        "test/river/b.png": ("test", "river"),
        "c.png": (None, None),
    }


def test_a_class_may_be_called_like_a_split(tree):
    files = tree({"train_station/a.png": None, "school/b.png": None, "test set/c.png": None})
    assert labels(files)["train_station/a.png"] == (None, "train_station")
    # Where all folders are splits there is no class.
    splits = tree({"x/train_1/a.png": None, "x/test_1/b.png": None})
    assert labels(splits)["x/train_1/a.png"] == ("train_1", None)


def test_a_set_without_labels_has_none_unless_the_card_says_where_they_stand(tree):
    files = tree({"forest/a_1.png": None, "river/b_2.png": None})
    assert {label for _, label in labels(files, task="unlabelled").values()} == {None}
    found = labels(files, task="unlabelled", label_from="prefix")
    assert {label for _, label in found.values()} == {"a", "b"}
    assert {label for _, label in labels(files, label_from="none").values()} == {None}


def test_an_archive_is_no_class(tmp_path, tree):
    files = tree({"a.png": None, "b.png": None})
    import shutil

    shutil.make_archive(str(tmp_path / "packed" / "forest"), "zip", files.storage.root)
    assert labels(FileTree.scan(tmp_path / "packed")) == {
        "forest.zip/a.png": (None, None),
        "forest.zip/b.png": (None, None),
    }


def test_several_kinds_of_lists_are_not_mixed(tree):
    files = tree(
        {
            "c/a_1.png": None,
            "c/a_2.png": None,
            "set-train.txt": "a_1.png",
            "set-test.txt": "a_2.png",
            "set-small-train.txt": "a_2.png",
        }
    )
    card = DatasetCard(name="x", layout="image_folder", task="classification")
    listing = read_dataset(files, card)
    assert {r.split for r in listing.images.values()} == {None}
    assert "split_lists" in listing.sidecars["set-small-train.txt"]
    named = labels(files, split_lists={"train": "set-train.txt", "test": "set-test.txt"})
    assert [split for split, _ in named.values()] == ["train", "test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_from": "prefx"}, "label_from"),
        ({"labels_csv": {"file": "no.csv", "path": "a", "label": "b"}}, "no file 'no.csv'"),
        ({"labels_csv": {"file": "t.csv", "path": "a", "label": "lable"}}, "mean 'label'"),
        ({"labels_csv": {"file": "t.csv", "path": "a", "label": "b", "sep": ","}}, "sep"),
        ({"label_from": "table"}, "needs labels_csv"),
        ({"split_lists": {"train": "no.txt"}}, "no file 'no.txt'"),
        ({"label_fro": "prefix"}, "mean 'label_from'"),
    ],
)
def test_a_wrong_option_is_a_named_error(tree, options, message):
    files = tree({"a.png": None, "t.csv": "a,label\na.png,x\n"})
    with pytest.raises(RecipeError, match=message):
        labels(files, **options)


def test_a_table_that_is_none_is_a_fault(tree):
    files = tree({"c/a.png": None, "t.csv": f"path,label,split\na.png,{'x' * 200_000},train\n"})
    where = {"file": "t.csv", "path": "path", "label": "label"}
    card = DatasetCard(name="x", layout="image_folder", options={"labels_csv": where})
    listing = read_dataset(files, card)
    assert "field larger" in listing.faults["t.csv"]
    assert listing.images["c/a.png"].annotation.label is None


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["hurricane_damage", "eurosat_recut"])
def test_a_real_set_reads_as_its_folders_say(real_data, name):
    root = real_data / name
    listing = read_dataset(FileTree.scan(root), catalog()[name.removesuffix("_recut")])
    by_hand = {}
    for path in root.rglob("*.jp*g"):
        *split, label = path.relative_to(root).parts[:-1]
        by_hand[path.relative_to(root).as_posix()] = (split[0] if split else None, label)
    found = {p: (r.split, r.annotation.label) for p, r in listing.images.items()}
    assert found == by_hand
    # What the publishers and curators state.
    counts = Counter(found.values())
    if name == "hurricane_damage":
        assert len(found) == 3601
        assert counts["test_another", "damage"] == 1359
        assert counts["test", "no_damage"] == 117
    else:
        assert len(counts) == 10
        assert set(counts.values()) == {80}


@pytest.mark.real_data
def test_official_lists_are_read_where_the_folders_hold_none(real_data):
    root = real_data / "layouts_synthetic"
    card = DatasetCard(name="x", layout="image_folder", task="classification")
    resisc = read_dataset(FileTree.scan(root / "resisc45"), card)
    names = {Path(p).name: r for p, r in resisc.images.items()}
    assert {(r.annotation.label, r.split) for r in resisc.images.values()} == {
        (label, "test") for label in ("airplane", "airport", "baseball_diamond")
    }
    # The fake puts every name into all three lists: the one that is held out counts.
    assert set(names) == set((root / "resisc45/resisc45-train.txt").read_text().split())
    assert set(resisc.faults) == {"resisc45-train.txt", "resisc45-val.txt"}
    ucm = read_dataset(FileTree.scan(root / "ucmerced"), card).images
    assert {r.annotation.label for r in ucm.values()} == {"agricultural", "airplane"}
    eurosat = card.model_copy(update={"options": {"split_lists": {"val": "eurosat-val.txt"}}})
    found = read_dataset(FileTree.scan(root / "eurosat"), eurosat).images.values()
    assert {(r.annotation.label, r.split) for r in found} == {
        ("AnnualCrop", "val"),
        ("Forest", "val"),
    }


@pytest.mark.real_data
def test_cowc_lists_give_split_and_label(real_data):
    root = real_data / "layouts_synthetic/cowc_detection"
    options = {"label_from": "list"}
    card = DatasetCard(name="x", layout="image_folder", task="classification", options=options)
    found = read_dataset(FileTree.scan(root), card).images
    by_hand = {}
    for split in ("train", "test"):
        for line in (root / f"COWC_{split}_list_detection.txt").read_text().splitlines():
            path, label = line.split(" ")
            by_hand[path] = (split, label)
    assert {p: (r.split, r.annotation.label) for p, r in found.items()} == by_hand
