"""Training images moved and mirrored at random, anew in every epoch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


def augmented(
    images: Tensor, shape: tuple[int, int] | None, shift_pixels: float, flip: bool, generator: torch.Generator
) -> Tensor:
    """`images` [samples, rows * columns of `shape`] in 0..1, each moved by up to `shift_pixels` along both axes
    (bilinear between pixels, dark beyond the edge) and, with `flip`, every other one mirrored left to right.

    shape      may be None when nothing is asked
    generator  on the CPU
    """
    if shape is None or not (shift_pixels or flip):
        return images
    count, (rows, columns) = len(images), shape
    random = torch.rand(count, 3, generator=generator).to(images)
    map_ = torch.zeros(count, 2, 3, dtype=images.dtype, device=images.device)
    map_[:, 0, 0] = torch.where(random[:, 2] < 0.5, -1.0, 1.0) if flip else 1.0
    map_[:, 1, 1] = 1.0
    # affine_grid measures from the middle of the image, in halves of it.
    map_[:, :, 2] = shift_pixels * (2 * random[:, :2] - 1) * images.new_tensor([2 / columns, 2 / rows])
    grid = affine_grid(map_, [count, 1, rows, columns], align_corners=False)
    moved = grid_sample(images.view(count, 1, rows, columns), grid, align_corners=False)
    return moved.view(count, -1).clamp_(0, 1)
