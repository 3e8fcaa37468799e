# SPDX-License-Identifier: Apache-2.0
"""Where the running code comes from: manifests record it."""

import shutil
import subprocess
from pathlib import Path

import rspipe


def code_commit() -> str | None:
    """Commit of the checkout that rspipe runs from; None for an installed wheel or without git."""
    root = Path(rspipe.__file__).parent.parent
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    answer = subprocess.run(
        [git, "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None
