# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.errors import RecipeError
from rspipe.readers import FileTree
from rspipe.readers.splits import read_split_lists
from rspipe.schema import DatasetCard


@pytest.fixture
def lists(tmp_path):
    def lists(files, options=None):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        card = DatasetCard(name="x", options=options or {})
        found = read_split_lists(FileTree.scan(tmp_path), card)
        return found, lambda path: found.split_of(path, card)

    return lists


def test_a_line_may_be_a_name_a_file_or_the_end_of_a_path(lists):
    _, split_of = lists(
        {"train.txt": "a\nb c.png\nx/d.tif\n./e.png e_mask.png\n", "val.txt": "y/d.tif\n"}
    )
    assert [split_of(f"images/{name}") for name in ("a.jpg", "b c.jpg", "e.png", "q.png")] == [
        "train",
        "train",
        "train",
        None,
    ]
    assert split_of("images/x/d.tif") == "train"
    assert split_of("images/y/d.tif") == "val"
    assert split_of("images/d.tif") is None


def test_the_list_goes_before_the_folder(lists):
    _, split_of = lists({"val.txt": "a\n"})
    assert split_of("train/a.png") == "val"
    assert split_of("train/b.png") == "train"


def test_trainval_gives_way_to_finer_lists(lists):
    found, split_of = lists({"train.txt": "a\n", "trainval.txt": "a\nb\n"})
    assert split_of("a.png") == "train"
    assert split_of("b.png") == "trainval"
    assert not found.faults


def test_two_lists_that_contradict_are_named_and_the_first_counts(lists):
    found, split_of = lists({"test.txt": "a\n", "train.txt": "a\nb\n"})
    assert split_of("a.png") == "test"
    assert found.faults == {"train.txt": "1 of its names stand in another list: a in test.txt"}


def test_a_declared_list_must_be_there(lists):
    found, split_of = lists(
        {"lists/part1.lst": "a\n", "train.txt": "a\n"}, {"split_lists": {"dev": "part1.lst"}}
    )
    assert split_of("a.png") == "dev"
    assert set(found.sidecars) == {"lists/part1.lst"}
    with pytest.raises(RecipeError, match=r"no file 'part2\.lst'"):
        lists({}, {"split_lists": {"dev": "part2.lst"}})
