# SPDX-License-Identifier: Apache-2.0
"""docs/objectives.md says what the code does; the example of docs/add-an-objective.md learns."""

import re
from pathlib import Path

import torch

from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import OBJECTIVES, Draws

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "objectives.md").read_text()


def test_table_has_every_objective_with_its_cost():
    rows = [line.split("|") for line in TEXT.splitlines() if re.match(r"\| `\w+` \| .*arXiv", line)]
    cells = {row[1].strip(" `"): [cell.strip() for cell in row] for row in rows}
    assert set(cells) == {*OBJECTIVES, "region_masking"}
    for name, objective_cls in OBJECTIVES.items():
        with torch.device("meta"):
            objective = objective_cls(objective_cls.Config(), EncoderConfig())
        visible, gmacs = cells[name][6:8]
        assert int(visible) == objective.kept
        assert float(gmacs) == round(objective.macs_per_image() / 1e9, 2)


def test_example_is_an_objective():
    page = (DOCS / "add-an-objective.md").read_text()
    (code,) = re.findall(r"```python title=.*?\n(.*?)```", page, re.DOTALL)
    space = {"__name__": "example"}
    exec(code, space)
    encoder = EncoderConfig(img_px=32, patch_px=8, width=24, depth=1, heads=2)
    objective = space["PooledMAE"](space["PooledMAEConfig"](), encoder)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(4)))
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = objective(images, plan).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert objective.reconstruct(images, plan).filled.shape == images.shape
