# SPDX-License-Identifier: Apache-2.0
"""The page of a comparison: one HTML file with plot and table, and the plot by itself."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from rspipe import __version__
from rspipe.compare.plot import draw
from rspipe.compare.table import Table, written
from rspipe.io.provenance import code_commit
from rspipe.io.tables import write_text


def write_page(table: Table, folder: Path) -> None:
    """Write `compare.svg` and `compare.html`; neither needs another file."""
    plot = draw(table)
    text = str(plot).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    write_text(text, folder / "compare.svg")
    environment = Environment(
        loader=PackageLoader("rspipe.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("compare.html.j2").render(
        table=table,
        recipe=table.recipe,
        plot=plot,
        written=written,
        version=__version__,
        commit=(code_commit() or "")[:12],
    )
    write_text(page, folder / "compare.html")
