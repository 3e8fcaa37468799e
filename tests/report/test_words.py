# SPDX-License-Identifier: Apache-2.0
"""Every key of the ledger has words."""

from rspipe.report import words
from rspipe.schema import ORIENTATIONS


def test_every_orientation_has_words():
    assert set(words.ORIENTATIONS) == set(ORIENTATIONS)
