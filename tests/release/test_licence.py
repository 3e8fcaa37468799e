# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence."""

import subprocess
from pathlib import Path

LINE = "# SPDX-License-Identifier: Apache-2.0"


def test_every_source_file_says_its_licence():
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.pyi"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(listed) > 700
    lacking = [name for name in listed if Path(name).read_text().partition("\n")[0] != LINE]
    assert not lacking, f"add the line {LINE!r} at the top of {lacking[:5]}"
