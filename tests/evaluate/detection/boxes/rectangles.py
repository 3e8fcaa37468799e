# SPDX-License-Identifier: Apache-2.0
import torch
from hypothesis import strategies as st

from rspipe.evaluate.detection.boxes.corners import to_corners

sides = st.floats(0.1, 1000)
anywhere = st.builds(
    lambda *v: torch.tensor(v, dtype=torch.float64),
    *(st.floats(-4000, 4000), st.floats(-4000, 4000), sides, sides, st.floats(-20, 20)),
)


def same_rectangle(first, second, atol=1e-9):
    """Each corner of the one is a corner of the other."""
    apart = torch.cdist(to_corners(first), to_corners(second))
    return bool((apart.min(dim=0).values < atol).all() and (apart.min(dim=1).values < atol).all())
