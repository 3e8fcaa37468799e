# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.catalog import card_for
from rspipe.errors import RecipeError
from rspipe.evaluate.benchmarks import (
    Benchmark,
    Skipped,
    find_benchmarks,
    list_benchmark,
)
from rspipe.evaluate.config import What
from tests.evaluate.native_sets import (
    noisy,
    write_boxes,
    write_card,
    write_image,
    write_masks,
    write_scenes,
    write_voc,
)


def listed(folder, **what):
    return list_benchmark(folder, card_for(folder), What(**what))


def test_each_layout_becomes_a_benchmark(tmp_path, recipe):
    write_scenes(tmp_path / "hues")
    write_boxes(tmp_path / "lamps")
    write_masks(tmp_path / "roofs")
    found = {b.name: b for b in find_benchmarks(recipe(tmp_path))}
    assert {name: b.task for name, b in found.items()} == {
        "hues": "classification",
        "lamps": "detection",
        "roofs": "segmentation",
    }
    assert found["roofs"].classes == ("roof", "field")
    for benchmark in found.values():
        (fold,) = benchmark.folds
        assert {benchmark.records[i].split for i in fold.train} == {"train"}
        assert {benchmark.records[i].split for i in fold.test} == {"test"}


def test_auto_skips_what_is_not_held_out_but_a_name_takes_it(tmp_path, recipe):
    write_scenes(tmp_path / "hues")
    write_card(tmp_path / "hues", task="classification", benchmark_splits=[])
    (skipped,) = find_benchmarks(recipe(tmp_path))
    assert isinstance(skipped, Skipped)
    assert "benchmark_splits" in skipped.reason
    (taken,) = find_benchmarks(recipe(tmp_path, benchmarks=["hues"]))
    assert isinstance(taken, Benchmark)


def test_unknown_name_is_an_error_with_the_nearest(tmp_path, recipe):
    write_scenes(tmp_path / "hues")
    with pytest.raises(RecipeError, match="did you mean 'hues'"):
        list(find_benchmarks(recipe(tmp_path, benchmarks=["hue"])))


def test_missing_data_folder_is_an_error(tmp_path, recipe):
    with pytest.raises(RecipeError, match="no such folder"):
        list(find_benchmarks(recipe(tmp_path / "nowhere")))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"task": "unlabelled"}, "no task"),
        ({"task": "detection", "layout": "image_folder"}, "none of its 48 images is labelled"),
        ({"task": "classification", "classes": ["red"]}, "fewer than two classes"),
        ({"task": "classification", "test_splits": ["val"]}, "no image to score"),
        ({"task": "classification", "train_splits": ["all"]}, "no image to train on"),
    ],
)
def test_set_that_cannot_be_judged_says_why(tmp_path, said, reason):
    write_scenes(tmp_path / "hues")
    write_card(tmp_path / "hues", **said)
    skipped = listed(tmp_path / "hues")
    assert isinstance(skipped, Skipped)
    assert reason in skipped.reason


def test_masks_without_named_classes_are_skipped(tmp_path):
    write_masks(tmp_path / "roofs")
    write_card(tmp_path / "roofs", task="segmentation", layout="mask_pairs")
    assert "names no classes" in listed(tmp_path / "roofs").reason


def test_images_of_ignored_classes_neither_train_nor_are_scored(tmp_path):
    write_scenes(tmp_path / "hues")
    write_card(tmp_path / "hues", task="classification", ignore_classes=["blue"])
    found = listed(tmp_path / "hues")
    assert found.classes == ("green", "red")
    assert found.n_unlabelled == 16


def test_boxes_classes_come_from_the_annotations_where_the_card_is_silent(tmp_path):
    folder = tmp_path / "ports"
    write_card(folder, task="detection", layout="voc")
    for i, name in enumerate(["ship", "crane", "ship", "crane", "ship"]):
        write_image(folder / "i" / f"{i}.png", noisy(np.random.default_rng(0), (9, 9, 9)))
        write_voc(folder / "a" / f"{i}.xml", [(name, (1, 1, 5, 5))])
    assert listed(folder).classes == ("crane", "ship")


def test_folds_and_limits(tmp_path):
    write_scenes(tmp_path / "hues", splits=())
    folds = listed(tmp_path / "hues", folds=4).folds
    assert [len(fold.test) for fold in folds] == [6] * 4
    (fold,) = listed(tmp_path / "hues", max_images=5).folds
    assert (len(fold.train), len(fold.test)) == (5, 5)


def test_listing_changes_with_files_and_card_but_not_with_the_place(tmp_path):
    write_scenes(tmp_path / "a" / "hues")
    write_scenes(tmp_path / "b" / "hues")
    same = {listed(tmp_path / x / "hues").listing for x in "ab"}
    assert len(same) == 1
    (tmp_path / "b" / "hues" / "test" / "red" / "red_0.png").write_bytes(b"")
    assert listed(tmp_path / "b" / "hues").listing not in same


def test_a_recipe_s_split_lists_go_before_its_folders_and_its_card(tmp_path):
    folder = tmp_path / "hues"
    write_scenes(folder, per_class=3, splits=())
    card = (folder / "dataset.yaml").read_text()
    (folder / "dataset.yaml").write_text(card + "train_splits: [val]\ntest_splits: [val]\n")
    (folder / "train_20.txt").write_text("red/red_0.png 0\ngreen/green_1.png 1\n")
    (folder / "test_20.txt").write_text("blue_0.png\nred_1.png\nred_2.png\n")
    (folder / "train_50.txt").write_text("blue_1.png\n")
    lists = {"train": "train_20.txt", "test": "test_20.txt"}
    found = list_benchmark(folder, card_for(folder), What(split_lists=lists))
    fold = found.folds[0]
    names = [[found.records[i].source_path for i in part] for part in (fold.train, fold.test)]
    assert names == [
        ["green/green_1.png", "red/red_0.png"],
        ["blue/blue_0.png", "red/red_1.png", "red/red_2.png"],
    ]
    other = {"train": ("train_20.txt", "train_50.txt"), "test": "test_20.txt"}
    wider = list_benchmark(folder, card_for(folder), What(split_lists=other))
    assert len(wider.folds[0].train) == 3
    assert wider.listing != found.listing
    with pytest.raises(RecipeError, match=r"no file 'train_10.txt'"):
        list_benchmark(folder, card_for(folder), What(split_lists={"train": "train_10.txt"}))
