"""Every notebook runs to its end on a small corpus, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted(Path(__file__).parents[2].glob("notebooks/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_it_runs(path, small, monkeypatch):
    monkeypatch.setenv("RSPIPE_CORPUS", str(small.corpus))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": path.parent}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs_and_can_be_read_at_a_sitting(path):
    cells = nbformat.read(path, as_version=4).cells
    assert len(cells) <= 16
    assert not any(cell.get("outputs") for cell in cells)
