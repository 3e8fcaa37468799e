# SPDX-License-Identifier: Apache-2.0
"""Names are promises: a change of any of them must be meant, and seen in a diff."""

from pathlib import Path

from tests.names import names

FROZEN = Path("tests/names.txt")


def test_names_that_users_rely_on_are_those_that_were_frozen():
    now, frozen = "\n".join(names()).split(), FROZEN.read_text().split()
    gone, new = sorted(set(frozen) - set(now)), sorted(set(now) - set(frozen))
    assert now == frozen, (
        f"gone: {gone}; new: {new}; if that is meant, say so in CHANGELOG.md and run "
        "`python -m tests.names > tests/names.txt`"
    )
