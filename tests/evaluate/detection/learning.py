# SPDX-License-Identifier: Apache-2.0
"""Training by heart, the same for every detector."""

import torch
from torch import nn

from rspipe.models.encoder import seeded


def fit(model, images, truth, steps, lr, batch=4, most_norm=5.0):
    """Train on `batch` images at a step, in turn."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    model.train()
    with seeded(0):
        for number in range(steps):
            mine = [(number * batch + i) % len(images) for i in range(batch)]
            loss = sum(model.losses(images[mine], [truth[i] for i in mine]).values())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), most_norm)
            optimiser.step()
            schedule.step()
    model.eval()
