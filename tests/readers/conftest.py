# SPDX-License-Identifier: Apache-2.0
"""A tree of files written on the spot."""

import pytest

from rspipe.readers import FileTree
from tests.fakes import write_files


@pytest.fixture
def tree(tmp_path):
    """Write files below a fresh root and list them; None stands for a picture."""

    def tree(files):
        root = tmp_path / "set"
        write_files(root, files)
        return FileTree.scan(root)

    return tree
