# SPDX-License-Identifier: Apache-2.0
"""The notebooks as pages of the site, with what they show of the demo.

They are committed without outputs. `python -m docs.notebook_pages` (`make docs` calls it) runs
those whose artefacts are there, into data/notebooks; the site takes them from there as long as
notebook and artefacts are the same, and shows the others without outputs.
"""

import hashlib
import logging
import sys
from base64 import b64decode
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from rspipe import errors

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
RAN = ROOT / "data/notebooks"
ARTEFACTS = (
    "data/corpus/demo/manifest.json",
    "data/runs/demo/manifest.json",
    "data/results/demo/results.json",
    "data/compare/demo/compare.json",
)
"""What notebooks read: another one of these, and those that name its folder are run again."""
_NOT_RUN = """\
!!! note "Shown without its outputs"
    They come from the demo: run `make demo`, then `make docs`.
"""

log = logging.getLogger("docs.notebook_pages")


def run(path: Path) -> None:
    """Run a notebook, unless it has been on these artefacts, and keep it with its outputs.

    Raises:
        CellExecutionError: it fails; but one whose artefacts are not there is only named.
    """
    if ran(path) is not None:
        return
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=1800,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # of the kernel's own words about its sockets
    )
    try:
        client.execute()
    except CellExecutionError as error:
        if not hasattr(errors, error.ename):
            raise
        log.warning("%s: not run: %s", path.name, error.evalue)
        return
    notebook.metadata["of"] = _of(path)
    RAN.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, RAN / path.name)


def ran(path: Path) -> NotebookNode | None:
    """Open what a notebook left when it was run on the artefacts of now; None: it was not."""
    kept = RAN / path.name
    if not kept.exists():
        return None
    notebook = nbformat.read(kept, as_version=4)
    return notebook if notebook.metadata.get("of") == _of(path) else None


def _of(path: Path) -> str:
    text = path.read_text()
    named = (ROOT / name for name in ARTEFACTS if str(Path(name).parent) in text)
    read = [path, *filter(Path.exists, named)]
    return hashlib.sha256(b"".join(each.read_bytes() for each in read)).hexdigest()


def page(notebook: NotebookNode, stem: str) -> tuple[str, dict[str, bytes]]:
    """Write a notebook as a page.

    Args:
        notebook: with or without outputs.
        stem: what the names of its pictures begin with.

    Returns:
        Markdown; and pictures by the names that it calls them by.
    """
    pictures: dict[str, bytes] = {}
    parts = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(_demoted(cell.source) if index else cell.source)
        else:
            parts.append(_folded(cell.source))
            parts += [_shown(output, stem, pictures) for output in cell.outputs]
    if not any(cell.get("outputs") for cell in notebook.cells):
        parts.insert(1, _NOT_RUN)
    return "\n\n".join(filter(None, parts)) + "\n", pictures


def _demoted(text: str) -> str:
    """Make a heading one of the page's sections: a page has one title."""
    return f"#{text}" if text.startswith("#") else text


def _folded(source: str) -> str:
    lines = [f"    {line}".rstrip() for line in ("```python", *source.splitlines(), "```")]
    return "\n".join(['??? example "Code"', "", *lines])


def _shown(output: NotebookNode, stem: str, pictures: dict[str, bytes]) -> str:
    if output.output_type == "stream":
        return _as_text(output.text)
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}-{len(pictures) + 1}.png"
        pictures[name] = b64decode(data["image/png"])
        return f"![What the cell draws]({name})"
    return data.get("text/markdown") or _as_text(data.get("text/plain", ""))


def _as_text(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    for each in NOTEBOOKS:
        run(each)
