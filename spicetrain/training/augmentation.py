"""Training images moved, turned and mirrored at random, anew in every epoch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from spicetrain.array.sent import sent
from spicetrain.training.settings import Augmentation


def augmented(images: Tensor, shape: tuple[int, int] | None, ask: Augmentation, generator: torch.Generator) -> Tensor:
    """`images` [samples, rows * columns of `shape`] in 0..1, each moved along both axes, turned about its middle and
    mirrored left to right as `ask` has it; bilinear between pixels, dark beyond the edge.

    shape      may be None when nothing is asked
    generator  on the CPU
    """
    if shape is None or not ask:
        return images
    count, (rows, columns) = len(images), shape
    random = sent(torch.rand(count, 4, generator=generator), images)
    right, down, turn = (2 * random[:, :3] - 1).unbind(1)
    angle = ask.rotate_rad * turn
    mirror = torch.where(random[:, 3] < 0.5, -1.0, 1.0) if ask.flip else torch.ones_like(angle)
    # affine_grid measures from the middle of the image, in halves of its width and of its height.
    x = torch.stack(
        [mirror * angle.cos(), -mirror * angle.sin() * rows / columns, ask.shift_pixels * 2 / columns * right]
    )
    y = torch.stack([angle.sin() * columns / rows, angle.cos(), ask.shift_pixels * 2 / rows * down])
    map_ = torch.stack([x.T, y.T], dim=1)
    grid = affine_grid(map_, [count, 1, rows, columns], align_corners=False)
    moved = grid_sample(images.view(count, 1, rows, columns), grid, align_corners=False)
    return moved.view(count, -1).clamp_(0, 1)
