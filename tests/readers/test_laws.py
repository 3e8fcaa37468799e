# SPDX-License-Identifier: Apache-2.0
"""Laws that hold for every reader, on a fake of every layout."""

import shutil

import pytest

from rspipe.io.derived import files_of
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import fakes

FAKES = fakes()


@pytest.fixture
def fake(request, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    return root, FAKES[request.param](root)


def every_fake(test):
    return pytest.mark.parametrize("fake", FAKES, indirect=True)(test)


def card_of(expected, layout=None):
    return DatasetCard(
        name="x",
        layout=layout or expected.layout,
        task=expected.task,
        options=dict(expected.options),
    )


def said_of(record):
    """What a record says, as a fake states it."""
    said = record.annotation.model_dump() | record.geography.model_dump()
    said |= {"split": record.split, "derivation": record.derivation}
    if said["boxes"] is not None:
        said["boxes"] = [
            (
                b["label"],
                b["x0"],
                b["y0"],
                b["x1"],
                b["y1"],
                *([b["corners"]] if b["corners"] else []),
            )
            for b in said["boxes"]
        ]
    return {key: value for key, value in said.items() if value not in (None, False)}


@every_fake
def test_a_reader_finds_what_was_written(fake):
    root, expected = fake
    listing = read_dataset(FileTree.scan(root), card_of(expected))
    found = {path: said_of(record) for path, record in listing.images.items()}
    assert found.keys() == expected.images.keys()
    for path, said in expected.images.items():
        assert found[path] == {
            key: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for key, value in said.items()
        }
    assert set(listing.sidecars) == expected.sidecars
    assert set(listing.faults) == expected.faults


@every_fake
def test_a_layout_is_recognised_by_its_own_reader(fake):
    root, expected = fake
    if not expected.recognised:
        pytest.skip("told by its card alone")
    tree = FileTree.scan(root)
    first = next(name for name, reader in READERS.items() if reader.recognises(tree))
    assert first == expected.layout


@every_fake
def test_every_file_is_named_once_and_every_name_is_a_file_or_a_derived_image(fake):
    root, expected = fake
    tree = FileTree.scan(root)
    listing = read_dataset(tree, card_of(expected))
    named = [*listing.images, *listing.sidecars, *listing.faults]
    assert len(named) == len(set(named))
    made = {path for path, record in listing.images.items() if record.derivation is not None}
    assert set(named) - set(tree.paths) <= made
    assert all(path == record.source_path for path, record in listing.images.items())


@every_fake
def test_what_a_record_points_at_is_there(fake):
    root, expected = fake
    tree = FileTree.scan(root)
    listing = read_dataset(tree, card_of(expected))
    for record in listing.images.values():
        said = record.annotation
        assert {said.mask_path, said.footprints_path} <= {None, *listing.sidecars}
        assert said.pair_path is None or said.pair_path in listing.images
        assert not record.derivation or set(files_of(record.derivation)) <= set(tree.paths)


@pytest.mark.parametrize("archive", ["set.zip", "set.tar"])
@every_fake
def test_a_dataset_in_an_archive_reads_as_in_a_folder(fake, archive, tmp_path):
    root, expected = fake
    plain = read_dataset(FileTree.scan(root), card_of(expected))
    packed = tmp_path / "packed"
    packed.mkdir()
    shutil.make_archive(str(packed / "set"), archive.removeprefix("set."), root)
    shutil.rmtree(root)
    listing = read_dataset(FileTree.scan(packed), card_of(expected))
    inner = f"{archive}/"
    assert {p.removeprefix(inner) for p in listing.images} == set(plain.images)
    assert {p.removeprefix(inner) for p in listing.sidecars} == set(plain.sidecars)
    for path, record in listing.images.items():
        there = plain.images[path.removeprefix(inner)]
        assert (record.split, record.geography) == (there.split, there.geography)
        assert (record.annotation.label, record.annotation.caption) == (
            there.annotation.label,
            there.annotation.caption,
        )
        for key in ("mask_path", "footprints_path", "pair_path"):
            ours, theirs = getattr(record.annotation, key), getattr(there.annotation, key)
            assert ours == (theirs if theirs is None else f"{inner}{theirs}")
        assert record.annotation.boxes == there.annotation.boxes
        assert (record.derivation is None) == (there.derivation is None)
        if record.derivation is not None:
            files, plain_files = files_of(record.derivation), files_of(there.derivation)
            assert files == tuple(f"{inner}{file}" for file in plain_files)
