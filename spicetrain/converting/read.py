"""A torch model as the dense layers that a circuit can have; what it has besides is named and refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import snntorch
from torch import Tensor, nn

from spicetrain.errors import ArchitectureMismatch, ConfigurationError
from spicetrain.training.common import require_unit_inputs

_PASSED = nn.Identity, nn.Dropout, nn.Flatten
_BETWEEN = nn.Tanh, nn.ReLU
_AT_THE_END = nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Tanh  # which output is the largest stays as it is


@dataclass(frozen=True)
class Dense:
    """weight [rows, columns], bias [columns]; then: what is behind it, None behind the last of a model that does not
    spike."""

    weight: Tensor
    bias: Tensor
    then: nn.Module | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.weight.shape[0], self.weight.shape[1]


def dense_layers(model: nn.Module) -> list[Dense]:
    """Of a Sequential (or several inside each other) of Linear with Tanh or ReLU between them, or of Linear with
    snntorch.Leaky behind each. ConfigurationError lists the modules that are nothing of that."""
    modules = [(name, module) for name, module in _flat(model) if not isinstance(module, _PASSED)]
    spiking = any(isinstance(module, snntorch.Leaky) for _, module in modules)
    neighbours = [None, *(module for _, module in modules), None]
    refused = [
        f"{name or 'the model itself'}: {type(module).__name__} ({why})"
        for (name, module), before, behind in zip(modules, neighbours, neighbours[2:], strict=False)
        if (why := _why_not(module, before, behind, spiking))
    ]
    if refused or not modules:
        raise ConfigurationError(
            "A circuit is made of a Sequential of Linear with Tanh or ReLU between them, or with snntorch.Leaky behind "
            f"each. It cannot be made of {', '.join(refused) or 'nothing'}. Train a model without that, or train the "
            "crossbars of spicetrain.nn themselves."
        )
    linears = [module for _, module in modules if isinstance(module, nn.Linear)]
    thens = [module for _, module in modules[1::2] if spiking or isinstance(module, _BETWEEN)]
    kept = thens if spiking else thens[: len(linears) - 1]
    return [Dense(*_weights(one), then) for one, then in zip_longest(linears, kept)]


def require_inputs(layers: Sequence[Dense], inputs: Tensor) -> None:
    """ArchitectureMismatch when inputs are not [samples, rows], of a model that spikes not [steps, samples, rows];
    DomainError when they are not in 0..1."""
    rows, axes = layers[0].shape[0], "[samples, rows]" if layers[-1].then is None else "[steps, samples, rows]"
    if inputs.ndim != axes.count(",") + 1 or inputs.shape[-1] != rows or not inputs.numel():
        raise ArchitectureMismatch(
            f"inputs of shape {list(inputs.shape)} for a model of {rows} inputs: give {axes} with {rows} rows."
        )
    require_unit_inputs(inputs.numpy(), "no row can be driven to that")


def _flat(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Sequential):
        yield name, module
        return
    for key, child in module.named_children():
        yield from _flat(child, f"{name}.{key}" if name else key)


def _why_not(module: nn.Module, before: nn.Module | None, behind: nn.Module | None, spiking: bool) -> str | None:
    """What is wrong with a module between those two; None: nothing."""
    if isinstance(module, nn.Linear):
        if isinstance(before, nn.Linear):
            return "directly behind another Linear"
        return "no Leaky behind it" if spiking and not isinstance(behind, snntorch.Leaky) else None
    if isinstance(module, snntorch.Leaky):
        if module.inhibition:
            return "neurons that inhibit each other"
    elif not isinstance(module, _BETWEEN + _AT_THE_END):
        return "no such thing in a circuit"
    elif spiking:
        return "in a model that spikes"
    elif behind is None and not isinstance(module, _AT_THE_END):
        return "behind the last Linear"
    elif behind is not None and not isinstance(module, _BETWEEN):
        return "in the middle"
    return None if isinstance(before, nn.Linear) else "not directly behind a Linear"


def _weights(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    weight = linear.weight.detach().double().cpu().T
    bias = weight.new_zeros(weight.shape[1]) if linear.bias is None else linear.bias.detach().double().cpu()
    return weight, bias
