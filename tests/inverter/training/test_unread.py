"""Steps of training that no host has to wait in: what they solve, what they count, and that they read nothing back.

The `meta` device computes nothing: a number that is read from it, an array that is made of it, is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spicetrain.array.devices import Sinh
from spicetrain.datasets import load_dataset
from spicetrain.inverter.definition import NetworkSettings, TrainingSettings
from spicetrain.inverter.surrogates.current_surface import CurrentSurface
from spicetrain.inverter.surrogates.store import Surrogates
from spicetrain.inverter.training.fitted import FittedCircuit
from spicetrain.inverter.training.goal import goal_of
from spicetrain.inverter.training.inverters import Inverters
from spicetrain.inverter.training.loop import InverterTask
from spicetrain.inverter.training.model import TrainableNetwork
from spicetrain.inverter.training.newton import UNREAD, Tolerance, tolerance_on
from spicetrain.inverter.training.output import solve_output
from spicetrain.inverter.training.voltages import Convergence
from spicetrain.technology import Technology
from spicetrain.training import loop
from spicetrain.training.augmentation import augmented
from spicetrain.training.checkpoint import Identity
from spicetrain.training.common import parts_of
from spicetrain.training.settings import Augmentation, TrainingVariation

from .circuits import EXACT
from .test_stage import NAMES, SHAPES, solve, stage, voltages

META = torch.device("meta")
VARIATION = TrainingVariation(mismatch=1.0, programming=0.1)
READING = {"_local_scalar_dense", "item", "nonzero", "masked_select", "equal", "is_nonzero", "_linalg_check_errors"}


class Watched(TorchDispatchMode):
    """Counts what makes a host wait: numbers that are read, and copies to a device from memory that is not pinned."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, asked = func.__name__.split(".")[0], kwargs or {}
        self.waits[name] += name in READING
        found = func(*args, **asked)
        given = {tensor.device.type for tensor in tree_leaves((args, asked)) if isinstance(tensor, Tensor)}
        made = {tensor.device.type for tensor in tree_leaves(found) if isinstance(tensor, Tensor)}
        copied = name in ("_to_copy", "copy_") and len(given | made) > 1 and not asked.get("non_blocking")
        self.waits[name] += copied
        return found

    def __enter__(self) -> Watched:
        """Besides, numbers of Python that are made a tensor elsewhere: those go round the dispatcher."""
        self.patch = pytest.MonkeyPatch()
        for owner, name in ((torch, "tensor"), (torch, "as_tensor"), (Tensor, "new_tensor")):
            self.patch.setattr(owner, name, counted(getattr(owner, name), self.waits))
        return super().__enter__()

    def __exit__(self, *of: Any) -> None:
        super().__exit__(*of)
        self.patch.undo()


def counted(make: Callable[..., Tensor], waits: Counter[str]) -> Callable[..., Tensor]:
    def made(*given: Any, **asked: Any) -> Tensor:
        found = make(*given, **asked)
        waits[make.__name__] += found.device.type != "cpu"
        return found

    return made


def gradients(tolerance: Tolerance, arrays: tuple[Tensor, ...], inverters: Inverters) -> list[Tensor]:
    """Of a sum of all columns that no sample and no column is alike in."""
    leaves = [array.clone().requires_grad_() for array in arrays]
    v_col = solve(leaves, inverters, tolerance).v_col
    weights = torch.linspace(0.5, 2, v_col.numel(), dtype=v_col.dtype).view_as(v_col)
    return list(torch.autograd.grad((v_col * weights).sum(), leaves))


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_as_many_steps_as_always_solve_what_steps_that_stop_do(
    rows: int, columns: int, ptm90: Technology, inverters: Inverters
) -> None:
    arrays = stage(ptm90, rows, columns)
    exact, stopped, fixed = (solve(arrays, inverters, tolerance) for tolerance in (EXACT, Tolerance(), UNREAD))
    assert fixed.convergence.iterations == UNREAD.coarse_iterations + UNREAD.iterations
    assert fixed.convergence.read().unconverged == stopped.convergence.unconverged == 0
    for wanted, before, found in zip(voltages(exact), voltages(stopped), voltages(fixed), strict=True):
        assert float((found - wanted).abs().max()) < 2e-6  # 20 s^2 of a step of 0.3 mV
        torch.testing.assert_close(found, before, rtol=0, atol=4e-6)
    for name, wanted, found in zip(NAMES, *(gradients(of, arrays, inverters) for of in (EXACT, UNREAD)), strict=True):
        assert float((found - wanted).norm() / wanted.norm()) < 1e-3, name


def test_steps_that_were_too_few_are_counted(ptm90: Technology, inverters: Inverters) -> None:
    arrays = stage(ptm90, 5, 3)
    few = Tolerance(step_V=1e-6, coarse_iterations=1, iterations=1)
    told, counted = (solve(arrays, inverters, replace(few, fixed=fixed)).convergence for fixed in (False, True))
    assert isinstance(counted.step_V, Tensor) and isinstance(counted.unconverged, Tensor)
    assert counted.read() == told and told.unconverged > 0
    broken = arrays[0].clone()
    broken[2, 1] = torch.nan
    assert solve([broken, *arrays[1:]], inverters, UNREAD).convergence.read().unconverged == 1
    v_in = torch.linspace(-0.1, 0.1, 4, dtype=torch.float64)[:, None]
    output = solve_output(v_in, torch.ones(1, dtype=torch.float64), inverters, UNREAD)
    assert output.convergence.read().unconverged == 0


def test_what_is_counted_there_adds_up_as_numbers_do() -> None:
    one, other = Convergence(3e-3, 4, 1), Convergence(2e-4, 9, 2)

    def there(of: Convergence) -> Convergence:
        return Convergence(torch.tensor(of.step_V, dtype=torch.float64), of.iterations, torch.tensor(of.unconverged))

    for pair in ((there(one), there(other)), (one, there(other)), (there(one), other), (other, there(one))):
        assert (pair[0] + pair[1]).read() == one + other
    assert (Convergence() + there(one)).read() == one == one.read()


def test_a_tolerance_is_the_devices() -> None:
    assert tolerance_on(torch.device("cpu")) == Tolerance()
    assert tolerance_on(META) == tolerance_on(torch.device("cuda")) == UNREAD


def model_on(
    device: torch.device, technology: Technology, surrogates: Surrogates, settings: TrainingSettings
) -> TrainableNetwork:
    shape = NetworkSettings(layers=(4, 5, 3), encoding="bipolar")
    dtype = torch.float64 if device.type == "cpu" else torch.float32
    return TrainableNetwork(shape, settings, FittedCircuit(technology, surrogates, dtype, device, UNREAD))


def task_of(model: TrainableNetwork, settings: TrainingSettings) -> InverterTask:
    iris, rails = load_dataset("iris"), model.circuit.rails
    parts = parts_of(iris, 0, torch.device("cpu"))
    parts = {name: (x.to(model.circuit.dtype), y) for name, (x, y) in parts.items()}
    goal = goal_of(iris, rails, settings.logit(rails))
    return InverterTask(model, settings, parts, Identity({}, {}), goal, None)


@pytest.mark.parametrize("bends", (False, True))
def test_a_step_reads_nothing_back(
    bends: bool, ptm90: Technology, surface: CurrentSurface, beyond: CurrentSurface
) -> None:
    """With chips that are drawn, sizes that are trained, and the power in the loss."""
    ohmic = ptm90.memristor
    bent = Sinh(g_min_S=ohmic.g_min_S, g_max_S=ohmic.g_max_S, b_per_V=4.0)
    technology = ptm90.changed(memristor=bent) if bends else ptm90
    settings = TrainingSettings(sizing="inverter", power_weight_per_W=1e3, variation=VARIATION)
    model = model_on(META, technology, Surrogates(surface, shifted_surface=beyond), settings)
    task, random = task_of(model, settings), torch.Generator().manual_seed(0)
    task.begin(0)
    pixels, labels = torch.empty(6, 4, device=META), torch.empty(6, dtype=torch.int64, device=META)

    def step() -> None:
        images = augmented(pixels, (2, 2), Augmentation(shift_pixels=1.0, flip=True), random)
        task.loss(images, labels, random).backward()
        task.stepped(0)

    step()  # tables are made
    with Watched() as watched:
        step()
    assert not +watched.waits
    assert task.trained.iterations == UNREAD.coarse_iterations + UNREAD.iterations
    with Watched() as watched, pytest.raises(RuntimeError, match="meta"):
        task.shown()
    assert +watched.waits


@pytest.mark.parametrize("shows", (False, True))
def test_an_epoch_reads_as_often_however_many_steps_it_has(
    shows: bool,
    ptm90: Technology,
    surface: CurrentSurface,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the optimizer, and all that the loop shows and writes."""
    if not shows:
        monkeypatch.setattr(loop, "steps_unread", lambda device: 1000)
    counted = []
    for batch_size in (40, 10):  # of 120 flowers
        settings = TrainingSettings(epochs=1, batch_size=batch_size, logit_V=0.02)
        model = model_on(torch.device("cpu"), ptm90, Surrogates(surface), settings)
        task = task_of(model, settings)
        data, folder = task.parts.pop("train"), tmp_path / str(batch_size)
        folder.mkdir()
        with Watched() as watched:
            loop.train_epochs(task, settings, data, None, folder)
        counted.append(watched.waits.total())
    assert (counted[1] > counted[0]) == shows
    assert counted[0] > 0


def test_steps_without_reading_are_those_of_a_device_that_is_waited_for() -> None:
    assert loop.steps_unread(torch.device("cpu")) == 1
    assert loop.steps_unread(torch.device("cuda")) > 10
