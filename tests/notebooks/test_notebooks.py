# SPDX-License-Identifier: Apache-2.0
"""Every notebook runs to its end on small artefacts, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from rspipe.errors import RspipeError

NOTEBOOKS = sorted(Path(__file__).parents[2].glob("notebooks/*.ipynb"))


@pytest.fixture
def artefacts(small, results, comparison, tmp_path, monkeypatch):
    monkeypatch.setenv("RSPIPE_CORPUS", str(small.corpus))
    monkeypatch.setenv("RSPIPE_RESULTS", str(results))
    monkeypatch.setenv("RSPIPE_COMPARISON", str(comparison))
    # The notebook trains a small model by itself where there is no run.
    monkeypatch.setenv("RSPIPE_RUN", str(tmp_path / "absent"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_it_runs_without_a_warning(path, artefacts):
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": path.parent}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_missing_is_named_with_the_command_that_makes_it(path, tmp_path, monkeypatch):
    for name in ("RSPIPE_CORPUS", "RSPIPE_RESULTS"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    _, opening, *_ = nbformat.read(path, as_version=4).cells
    with pytest.raises(RspipeError, match=r"absent: no .* here.*`rspipe (curate|eval)`"):
        exec(compile(opening.source, path.name, "exec"), {})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs_and_can_be_read_at_a_sitting(path):
    cells = nbformat.read(path, as_version=4).cells
    assert len(cells) <= 16
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any("execution" in cell.metadata for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_opens_with_what_it_needs_and_the_path_to_change(path):
    first, second, *_ = nbformat.read(path, as_version=4).cells
    assert "**Needs**" in first.source
    assert second.source.count("← the path to change") == 1
