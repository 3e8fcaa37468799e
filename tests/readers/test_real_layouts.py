# SPDX-License-Identifier: Apache-2.0
"""Readers on real data sets, against counts that their publishers or curators state."""

import pytest

from rspipe.catalog import card_for
from rspipe.readers import FileTree, read_dataset

pytestmark = pytest.mark.real_data


@pytest.fixture
def listing(real_data):
    def listing(name):
        folder = real_data / name
        return read_dataset(FileTree.scan(folder), card_for(folder))

    return listing


def test_dubai_pairs_every_image_with_its_mask(listing):
    records = listing("dubai_seg").images.values()
    assert len(records) == 45
    assert all(r.annotation.mask_path for r in records)
