# SPDX-License-Identifier: Apache-2.0
"""Who may use which part of the globe: no pixel serves two roles.

The globe between 80 N and 60 S is divided in blocks of 20 x 20 degrees (300 x 300 px). Each
block has one role, fixed in `ROLE_MAP`; open ocean and the poles have none. The map was drawn
by a search over random assignments for one in which each role gets varied geography and the
benchmarks get enough of every coast class. The sources have 57 % of the land and 34 % of the
coast. A footprint belongs to a role if all blocks it touches have that role.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from pipelines.demo.world import PX_PER_DEGREE, WORLD_WIDTH_PX, Footprint

BLOCK_DEGREES = 20
BLOCK_PX = BLOCK_DEGREES * PX_PER_DEGREE
NORTH_DEGREES = 80
TOP_PX = (90 - NORTH_DEGREES) * PX_PER_DEGREE

SCENES, CHIPS, TRAIN, VAL, TEST = "S", "C", "T", "V", "E"
BENCH_TRAIN = TRAIN + VAL
"""Only demo_islands has a validation split; for the others VAL blocks are train blocks."""

# Rows: 80..60 N first, 40..60 S last. Columns: 180..160 W first, 160..180 E last.
ROLE_MAP = (
    "ECSTETCCETETVCTTCC",
    "VTSETCT.VCECCCEETT",
    "..EESE..SSSSSCST.C",
    "...CTCE.CETSCTEV.C",
    "....TCST.SCE..TTEC",
    ".....CS..TEC..CECT",
    ".....E..........TS",
)


def role_at(y_px: int, x_px: int) -> str:
    """The role letter of the block around a pixel; "." where nobody may look."""
    row, column = (y_px - TOP_PX) // BLOCK_PX, x_px // BLOCK_PX
    inside = 0 <= row < len(ROLE_MAP) and 0 <= column < len(ROLE_MAP[0])
    return ROLE_MAP[row][column] if inside else "."


def block_number(at: Footprint) -> int:
    """Number of the block in which the first pixel of a footprint lies."""
    return (at.y0 - TOP_PX) // BLOCK_PX * len(ROLE_MAP[0]) + at.x0 // BLOCK_PX


def roles_under(at: Footprint) -> set[str]:
    """The role letters of all blocks that a footprint touches.

    Raises:
        ValueError: the footprint is larger than a block, so its corners do not tell.
    """
    if at.size_px > BLOCK_PX:
        raise ValueError(f"{at.name} is larger than a block of {BLOCK_PX} px")
    return {role_at(y, x) for y in (at.y0, at.y1 - 1) for x in (at.x0, at.x1 - 1)}


def footprints(roles: str, size_px: int, stride_px: int) -> Iterator[Footprint]:
    """All squares on a regular grid whose blocks all have one of the roles (and the same)."""
    bottom_px = TOP_PX + BLOCK_PX * len(ROLE_MAP)
    for y0 in range(TOP_PX, bottom_px - size_px + 1, stride_px):
        for x0 in range(0, WORLD_WIDTH_PX - size_px + 1, stride_px):
            at = Footprint(y0, x0, size_px)
            under = roles_under(at)
            if len(under) == 1 and under <= set(roles):
                yield at


def generator(name: str) -> np.random.Generator:
    """A random generator that depends on its name only, not on who drew before."""
    digest = hashlib.sha256(f"rspipe demo {name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
