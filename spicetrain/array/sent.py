"""What the host has drawn, for the device that computes with it."""

from __future__ import annotations

from torch import Tensor


def sent(drawn: Tensor, like: Tensor) -> Tensor:
    """`drawn`, on the CPU, in the precision and on the device of `like`; from pinned memory, so that a GPU need not be
    waited for."""
    pinned = drawn.pin_memory() if like.is_cuda else drawn
    return pinned.to(like.device, like.dtype, non_blocking=True)
