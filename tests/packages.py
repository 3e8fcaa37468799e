# SPDX-License-Identifier: Apache-2.0
"""A package that brings plug-ins, as pip leaves it: a module, and metadata with entry points."""

import textwrap
from pathlib import Path


def write_package(folder: Path, module: str, source: str, family: str, name: str, cls: str) -> None:
    (folder / f"{module}.py").write_text(textwrap.dedent(source))
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[rspipe.{family}]\n{name} = {module}:{cls}\n")
