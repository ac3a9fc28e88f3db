"""The tables that a verification of the inverter system writes.

verification.parquet, hidden.parquet  a row an image: image, label, model_<node>_V, spice_<node>_V; of a regression
                                      wanted_<target> in place of label, and model_<target>, spice_<target>
transient.parquet                     a row an image in time: steps, hold_time_s, energy_J ...
waveforms.parquet                     image, time_s, power_W, o_<j>_V of the first ones, all points
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spicetrain.inverter.verification.energy import Energy
from spicetrain.inverter.verification.simulate_network import SimulatedVoltages
from spicetrain.runfolder import VERIFICATION, WAVEFORMS, RunFolder
from spicetrain.storage import write_atomic

HIDDEN, TRANSIENT = "hidden.parquet", "transient.parquet"


def write_tables(
    files: RunFolder,
    wanted: dict[str, NDArray],
    read: dict[str, NDArray],
    outputs: list[str],
    spice: SimulatedVoltages,
    model: dict[str, NDArray],
) -> None:
    """Outputs, between the columns `wanted` and `read`, and where they were saved the inner nodes; else those of an
    earlier verification go."""
    import pandas as pd

    by_node = dict(zip(spice.nodes, spice.voltages.T, strict=True))
    identity = {"image": np.arange(len(spice.voltages)), **wanted}
    for name, chosen in ((VERIFICATION, outputs), (HIDDEN, [node for node in spice.nodes if node not in outputs])):
        path = files / name
        if not chosen:
            path.unlink(missing_ok=True)
            continue
        columns: dict[str, Any] = {f"model_{node}_V": model[node] for node in chosen}
        columns |= {f"spice_{node}_V": by_node[node] for node in chosen}
        with write_atomic(path) as temporary:
            pd.DataFrame(identity | columns | (read if name == VERIFICATION else {})).to_parquet(temporary)


def write_transient(files: RunFolder, wanted: dict[str, NDArray], energy: Energy | None) -> None:
    """Both tables; without an energy, those of an earlier verification go."""
    import pandas as pd

    names = TRANSIENT, WAVEFORMS
    if energy is None:
        for name in names:
            (files / name).unlink(missing_ok=True)
        return
    images = np.arange(len(energy.by_image["steps"]))
    waves = [
        {"image": np.full(len(wave.time_s), k), "time_s": wave.time_s, "power_W": wave.power_W}
        | {f"o_{j}_V": v for j, v in enumerate(wave.v_out_V.T)}
        for k, wave in enumerate(energy.waveforms)
    ]
    by_image = pd.DataFrame({"image": images, **wanted, **energy.by_image})
    for name, table in zip(names, (by_image, pd.concat(map(pd.DataFrame, waves))), strict=True):
        with write_atomic(files / name) as temporary:
            table.to_parquet(temporary, index=False)
