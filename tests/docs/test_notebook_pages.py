# SPDX-License-Identifier: Apache-2.0
"""Notebooks become pages: with what they show if they were run on what is there, else without."""

from base64 import b64encode

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from docs import notebook_pages
from docs.notebook_pages import page, ran, run

PNG = b"\x89PNG, as far as a page is concerned"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a notebook of one code cell where the pages look for what they read."""
    monkeypatch.setattr(notebook_pages, "ROOT", tmp_path)
    monkeypatch.setattr(notebook_pages, "RAN", tmp_path / "data/notebooks")

    def write(source):
        path = tmp_path / "n.ipynb"
        cells = [new_markdown_cell("# Title"), new_code_cell(source)]
        nbformat.write(new_notebook(cells=cells), path)
        return path

    return write


def test_a_page_shows_what_the_cells_left_and_folds_the_code():
    outputs = [
        new_output("stream", text="3 tiles\n"),
        new_output("display_data", {"image/png": b64encode(PNG).decode(), "text/plain": "<Fig>"}),
        new_output("execute_result", {"text/markdown": "| a |", "text/plain": "<Markdown>"}),
    ]
    cells = [
        new_markdown_cell("# Title"),
        new_markdown_cell("# Part"),
        new_code_cell("x = 1\n\nx", outputs=outputs),
    ]
    text, pictures = page(new_notebook(cells=cells), "n")
    assert pictures == {"n-1.png": PNG}
    assert text == (
        "# Title\n\n## Part\n\n"
        '??? example "Code"\n\n    ```python\n    x = 1\n\n    x\n    ```\n\n'
        "```text\n3 tiles\n```\n\n![What the cell draws](n-1.png)\n\n| a |\n"
    )


def test_without_outputs_the_page_says_how_to_get_them():
    text, _ = page(new_notebook(cells=[new_markdown_cell("# T"), new_code_cell("1")]), "n")
    assert text.startswith('# T\n\n!!! note "Shown without its outputs"')


def test_outputs_are_taken_while_notebook_and_artefacts_are_the_same(written, tmp_path):
    path = written("6 * 7  # data/corpus/demo")
    assert ran(path) is None
    run(path)
    assert ran(path).cells[1].outputs[0].data["text/plain"] == "42"
    corpus, run_, *_ = (tmp_path / name for name in notebook_pages.ARTEFACTS)
    for made in (run_, corpus):
        assert ran(path) is not None
        made.parent.mkdir(parents=True)
        made.write_text("{}")
    assert ran(path) is None


@pytest.mark.parametrize("name", ["CorpusError", "ZeroDivisionError"])
def test_only_what_is_missing_leaves_a_notebook_out(name, written, monkeypatch, caplog):
    def execute(_):
        raise CellExecutionError("", name, "no corpus here")

    monkeypatch.setattr(notebook_pages.NotebookClient, "execute", execute)
    path = written("1")
    if name == "CorpusError":
        run(path)
        assert "n.ipynb: not run: no corpus here" in caplog.text
    else:
        with pytest.raises(CellExecutionError):
            run(path)
    assert ran(path) is None
