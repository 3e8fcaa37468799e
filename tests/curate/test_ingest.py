# SPDX-License-Identifier: Apache-2.0
"""Files that no one plans for end as rows, never as a crash."""

import os

import pytest

from rspipe.catalog import load_card
from rspipe.curate.config import CurateHow, CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.curate.ingest import IngestItem, ingest
from rspipe.curate.listing import write_listing
from rspipe.errors import RecipeError
from rspipe.io.images import encode_png


@pytest.fixture
def rows(tmp_path):
    """Ingest a folder `set` of files made by the test; rows by path."""
    import numpy as np

    picture = encode_png(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))

    def rows(**files):
        folder = tmp_path / "data/set"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture if content is None else content)
        (dataset,) = iter_datasets(CurateRecipe(name="t", data=tmp_path / "data"))
        listed = write_listing(dataset, tmp_path / "stages", CurateHow(files_per_partition=2))
        parts = [listed.folder.part(i) for i in range(listed.n_partitions)]
        tables = [ingest(IngestItem(listed.storage, listed.card, part)) for part in parts]
        return {row["source_path"]: row for table in tables for row in table.to_pylist()}

    rows.folder = tmp_path / "data/set"
    return rows


def test_every_file_gets_one_row_whatever_it_is(rows):
    found = rows(
        **{
            "a b/<script>ü.png": None,
            "notes.txt": b"x",
            "x.zip": b"PK",
            "LICENSE": b"",
            "data.bin": b"\0",
            "fake.png": b"GIF8 not really",
        }
    )
    fates = {path: row["drop_reason"] for path, row in found.items()}
    assert fates == {
        "a b/<script>ü.png": None,
        "notes.txt": "sidecar",
        "x.zip": "unreadable",
        "LICENSE": "sidecar",
        "data.bin": "not_an_image",
        "fake.png": "unreadable",
    }


def test_a_link_that_leads_nowhere_is_unreadable(rows):
    rows(**{"a.png": None})
    (rows.folder / "gone.png").symlink_to(rows.folder / "nowhere.png")
    found = rows()
    assert found["gone.png"]["drop_reason"] == "unreadable"
    assert found["gone.png"]["drop_detail"] == "a link to nowhere"


def test_a_pipe_is_not_waited_on_and_a_linked_folder_is_named(rows):
    rows(**{"a.png": None})
    os.mkfifo(rows.folder / "pipe.jpg")
    os.mkfifo(rows.folder / "pipe.xml")
    (rows.folder / "loop").symlink_to(rows.folder)
    found = rows()
    assert found["pipe.jpg"]["drop_detail"] == "not a regular file"
    assert found["pipe.xml"]["drop_reason"] == found["loop"]["drop_reason"] == "not_an_image"


def test_a_file_without_permission_is_unreadable(rows):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    rows(**{"a.png": None, "b.png": None})
    (rows.folder / "b.png").chmod(0)
    assert rows()["b.png"]["drop_reason"] == "unreadable"


def test_a_name_that_is_no_utf8_is_a_row_with_the_remedy(rows):
    rows(**{"a.png": None})
    raw = os.fsencode(rows.folder / "b") + b"\xff.png"
    with open(raw, "wb") as stream:  # noqa: PTH123 - Path cannot spell it
        stream.write(b"x")
    found = rows()
    assert found["b�.png"]["drop_detail"] == "its name is not UTF-8: rename it"


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "name: x\nlicense: MIT\n", "name: 7\n"])
def test_a_wrong_card_is_a_recipe_error_that_names_it(tmp_path, text):
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"dataset\.yaml"):
        load_card(tmp_path / "dataset.yaml")
