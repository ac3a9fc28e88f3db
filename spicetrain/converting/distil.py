"""The model's own answers as what its circuit is trained for: no labels are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Distilling:
    """learning_rate  of Adam, falling to nothing along a cosine; None: what is usual"""

    epochs: int
    learning_rate: float | None
    batch_size: int
    seed: int


def distil(
    student: nn.Module,
    answers: Callable[[Tensor], Tensor],
    inputs: Tensor,
    wanted: Tensor,
    how: Distilling,
    *,
    usual_rate: float,
    project: Callable[[], None] = lambda: None,
) -> None:
    """Train `student` on the cross-entropy between classes as probabilities.

    answers  logits [samples, outputs] of minibatches of `inputs`, which has samples first
    wanted   probabilities [samples, outputs]
    project  after every step
    """
    generator, batches = torch.Generator().manual_seed(how.seed), -(-len(inputs) // how.batch_size)
    optimizer = torch.optim.Adam(student.parameters(), lr=how.learning_rate or usual_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(how.epochs * batches, 1))
    for _ in range(how.epochs):
        for batch in torch.randperm(len(inputs), generator=generator).split(how.batch_size):
            loss = nn.functional.cross_entropy(answers(inputs[batch]), wanted[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
            project()
