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
_NEAR = {torch.float32: 3e-4, torch.float64: 1e-11}  # of the right side


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

    def solve(
        self, right: Tensor, *, transposed: bool = False, near: float | None = None, near_V: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [samples, columns] of A x = right, or of A' x = right, and `to_rows` of it, or the adjoint's. Not finite
        where A is singular.

        near    what may be left of the right side's length; None: 3e-4 in float32, 1e-11 in float64
        near_V  or by how much x, in volts, may be off
        """
        s, tiny = self.s.adjoint if transposed else self.s, torch.finfo(right.dtype).tiny
        size = right.norm(dim=1, keepdim=True).clamp_(min=tiny)
        left, enough = right / size, near or _NEAR[right.dtype]
        solution = torch.zeros_like(right), torch.zeros_like(self.a), torch.zeros_like(self.a)
        taken: list[tuple[tuple[Tensor, ...], Tensor, Tensor]] = []
        for _ in range(_STEPS):
            along = self._nearly_solved(left, transposed)
            if near_V and bool((along * size).abs().max() <= near_V):
                return solution
            step = along, *s.to_rows(along)
            image = self._image(s, *step, transposed)
            for earlier, its_image, its_square in taken:
                share = (image * its_image).sum(1, keepdim=True).div_(its_square)
                for of, its in zip((image, *step), (its_image, *earlier), strict=True):
                    of.addcmul_(share, its, value=-1)
            square = image.square().sum(1, keepdim=True).clamp_(min=tiny)
            share = (left * image).sum(1, keepdim=True).div_(square)
            left.addcmul_(share, image, value=-1)
            share.mul_(size)
            for of, its in zip(solution, step, strict=True):
                of.addcmul_(share, its)
            unsolved = ~(left.norm(dim=1) <= enough)
            if not unsolved.any():
                return solution
            taken.append((step, image, square))
        x = solution[0]
        x[unsolved] = self._eliminated(unsolved, right[unsolved], transposed)
        return x, *s.to_rows(x)

    def _nearly_solved(self, right: Tensor, transposed: bool) -> Tensor:
        if self.near_inverse is None:
            return right / self.s.S
        return right @ (self.near_inverse if transposed else self.near_inverse.T)

    def _image(self, s: Tangent, y: Tensor, n: Tensor, p: Tensor, transposed: bool) -> Tensor:
        """A y, or A' y, of n, p = s.to_rows(y)."""
        if transposed:
            into_n, into_p = (self.a * n).addcmul_(self.t, p), self.b * p
        else:
            into_n, into_p = self.a * n, (self.b * p).addcmul_(self.t, n)
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
