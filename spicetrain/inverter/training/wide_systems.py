"""The linear systems of stages with many columns, solved without being made: a matrix takes 3 n m^2 multiplications a
sample, what it does to a vector 4 n m.

Generalized conjugate residuals (Eisenstat, Elman, Schultz, SIAM J. Numer. Anal. 20, 1983), all samples side by side. A
crossbar whose slopes are the same for all samples has nearly the same matrix for all, and the inverse of their mean
leaves few steps to take. What is not solved after some more is put to LU, by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spicetrain.array.tangent import Tangent
from spicetrain.inverter.training.small_systems import solve_with_pivots

_STEPS = 12
_NEAR = {torch.float32: 1e-4, torch.float64: 1e-11}  # of the right side


@dataclass(frozen=True)
class WideSystems:
    """A = S - s_n' a s_n - s_p' b s_p - s_p' t s_n at one point; a, b, t [samples, rows].

    near_inverse  [columns, columns]: about that of all of them; None: of each its diagonal's
    """

    s: Tangent
    a: Tensor
    b: Tensor
    t: Tensor
    near_inverse: Tensor | None

    def solve(self, right: Tensor, *, transposed: bool = False) -> Tensor:
        """x [samples, columns] of A x = right, or of A' x = right. A singular one gives numbers that are not finite."""
        none = torch.finfo(right.dtype).tiny
        size = right.norm(dim=1, keepdim=True).clamp_(min=none)
        residual, x = right / size, torch.zeros_like(right)
        taken: list[tuple[Tensor, Tensor]] = []  # directions, and what A makes of them: of length 1, orthogonal
        for _ in range(_STEPS):
            along = self._nearly_solved(residual, transposed)
            image = self._times(along, transposed)
            for earlier, its in taken:
                share = (image * its).sum(1, keepdim=True)
                image.addcmul_(share, its, value=-1)
                along.addcmul_(share, earlier, value=-1)
            length = image.norm(dim=1, keepdim=True).clamp_(min=none)
            taken.append((along.div_(length), image.div_(length)))
            share = (residual * image).sum(1, keepdim=True)
            x.addcmul_(share, along)
            residual.addcmul_(share, image, value=-1)
            unsolved = ~(residual.norm(dim=1) <= _NEAR[right.dtype])
            if not unsolved.any():
                return x.mul_(size)
        x.mul_(size)
        x[unsolved] = self._eliminated(unsolved, right[unsolved], transposed)
        return x

    def _nearly_solved(self, right: Tensor, transposed: bool) -> Tensor:
        if self.near_inverse is None:
            return right / self.s.S
        return right @ (self.near_inverse if transposed else self.near_inverse.T)

    def _times(self, y: Tensor, transposed: bool) -> Tensor:
        s = self.s.adjoint if transposed else self.s
        n, p = s.to_rows(y)
        if transposed:
            into_n, into_p = (self.a * n).addcmul_(self.t, p), p.mul_(self.b)
        else:
            into_n, into_p = self.a * n, p.mul_(self.b).addcmul_(self.t, n)
        return (s.S * y).sub_(s.to_columns(into_n, into_p))

    def _eliminated(self, them: Tensor, right: Tensor, transposed: bool) -> Tensor:
        """Of the samples `them` [samples], true or not."""
        if self.s.S.dim() == 1:
            A = self.s.matrix(self.a[them], self.b[them], self.t[them], rough=False)
        else:
            A = self.s.matrix(self.a, self.b, self.t, rough=False)[them]
        return solve_with_pivots(A, right, transposed)


def inverse_of_mean(s: Tangent, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Of the samples' mean matrix, [columns, columns], where slopes are the same for all; not finite if singular."""
    mean = (of.mean(0, keepdim=True) for of in (a, b, t))
    inverse: Tensor = torch.linalg.inv_ex(s.matrix(*mean, rough=False)[0])[0]
    return inverse
