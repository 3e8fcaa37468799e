# SPDX-License-Identifier: Apache-2.0
"""Samples of a tar, written by the `webdataset` package itself."""

import numpy as np
import pytest
import webdataset

from rspipe.readers import FileTree, read_dataset
from rspipe.schema import DatasetCard


@pytest.fixture
def tar(tmp_path):
    with webdataset.TarWriter(str(tmp_path / "train-000000.tar")) as writer:
        for i in range(4):
            pixels = np.full((8, 8, 3), i, dtype=np.uint8)
            writer.write(
                {
                    "__key__": f"s{i}",
                    "png": pixels,
                    "cls": i % 2,
                    "txt": f"caption {i}",
                    "json": {"gsd_m": 0.5, "acquired": "2020-01-02"},
                    "mask.png": pixels,
                }
            )
    return tmp_path


def test_samples_are_images_with_their_label_caption_mask_and_geography(tar):
    card = DatasetCard(name="x", classes=("forest", "river"))
    listing = read_dataset(FileTree.scan(tar), card)
    assert [path.rsplit("/", 1)[1] for path in sorted(listing.images)] == [
        f"s{i}.png" for i in range(4)
    ]
    for i, (_, found) in enumerate(sorted(listing.images.items())):
        assert found.annotation.label == ("forest", "river")[i % 2]
        assert found.annotation.caption == f"caption {i}"
        assert found.annotation.mask_path.endswith(f"s{i}.mask.png")
        assert (found.geography.gsd_m, found.geography.acquired) == (0.5, "2020-01-02")
        assert found.split == "train"
    assert len(listing.sidecars) == 4 * 4


def test_broken_json_is_a_fault_and_loses_no_image(tar):
    import io
    import tarfile

    with tarfile.open(tar / "val-0.tar", "w") as archive:
        for name, data in {"a.png": b"x", "a.json": b"{" * 5000}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    listing = read_dataset(FileTree.scan(tar), DatasetCard(name="x"))
    assert listing.images["val-0.tar/a.png"].split == "val"
    assert "not valid JSON" in listing.faults["val-0.tar/a.json"]
