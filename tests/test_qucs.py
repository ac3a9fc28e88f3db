"""The mesh against circuits that Qucs solved for badcrossbar: its tests/qucs, and its first tests/test_compute.py
(Dovydas Joksas, https://github.com/joksas/badcrossbar, MIT licence); the figures are those of its pickles and tests.

There a row's source is one segment away, and a column ends one segment above ground: a load, and feeds, of one segment.
Cases with cells of infinite resistance are left out, such a mesh is refused; those of ideal wires are a limit here.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spicetrain.array.mesh import Mesh, MeshVoltages
from spicetrain.array.wires import Segments

Array = NDArray[np.float64]
OHMS = np.arange(10.0, 210.0, 10.0).reshape(5, 4)

# Volts of the sources; at the row's and at the column's end of every cell.
SOLVED = {
    "5x4-b-1": (
        [0, 1, 2, 3, 4],
        """0.033951179558 0.051671722107 0.060817988269 0.064578558428
           0.955911685200 0.926367227632 0.908257127146 0.899791267615
           1.935985757450 1.890903663503 1.862384749779 1.848754395866
           2.925685095715 2.872355448739 2.838144489830 2.821612167780
           3.918867381304 3.860074333125 3.822066946679 3.803582557437""",
        """0.196257549645 0.223157249857 0.222388868335 0.215001364809
           0.228718823662 0.240305802632 0.233160260339 0.222522505128
           0.232092383218 0.234585641241 0.224643170435 0.213111926385
           0.197601645569 0.195739119404 0.186348960906 0.176440639818
           0.121140393302 0.118655221433 0.112697477659 0.106704709150""",
    ),
    "5x4-b-2": (
        [3, 2, -1, 2, 3],
        """2.689350864316 2.508980638390 2.407815298277 2.363321898598
           1.930884017238 1.877865635877 1.843370462605 1.826718964450
           -0.943039149153 -0.905814854685 -0.883358878390 -0.872981455292
           1.957815017707 1.926228835431 1.905507877615 1.895354253325
           2.941853178729 2.899214355534 2.871474237587 2.857929252171""",
        """1.386561766737 0.924882922132 0.707657085262 0.583585911435
           1.126003947221 0.766473150506 0.594313204395 0.494599112077
           0.833250924905 0.571016962702 0.445281973292 0.372309316410
           0.579971015345 0.405097411244 0.320407848584 0.270774366937
           0.305493505749 0.217447410870 0.174399056822 0.148932168885""",
    ),
}


def solved(ohms: Array, v_rows: Array, row_ohm: float, column_ohm: float) -> MeshVoltages:
    """Columns that end one segment above ground."""
    mesh = Mesh(1 / ohms, Segments(row_ohm, column_ohm, row_ohm), load_S=1 / column_ohm)
    return mesh.nodes(np.asarray(v_rows, dtype=np.float64)[None])


def numbers(text: str) -> Array:
    return np.array([float(word) for word in text.split()]).reshape(OHMS.shape)


@pytest.mark.parametrize("case", SOLVED)
def test_every_node_stands_where_qucs_has_it(case: str) -> None:
    v_rows, v_row_nodes, v_column_nodes = SOLVED[case]
    found = solved(OHMS, np.array(v_rows), 1.0, 2.0)
    np.testing.assert_allclose(found.row_nodes[0], numbers(v_row_nodes), rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.column_nodes[0], numbers(v_column_nodes), rtol=0, atol=1e-11)
    np.testing.assert_array_equal(found.sensed[0], found.column_nodes[0, -1])


@pytest.mark.parametrize("sign", [1.0, 0.0, -1.0])
def test_one_cell(sign: float) -> None:
    """1x1-b-1, -2, -3: 10 ohm between a segment of 1 and one of 2."""
    found = solved(np.array([[10.0]]), np.array([sign]), 1.0, 2.0)
    assert found.row_nodes.item() == pytest.approx(0.923076923077 * sign, abs=1e-12)
    assert found.column_nodes.item() == pytest.approx(0.153846153846 * sign, abs=1e-12)


@pytest.mark.parametrize(
    ("ohms", "v_rows", "ohm", "currents"),
    [
        ([[10, 20, 30], [40, 50, 60]], [3, 5], 0.1, [0.4109446865, 0.2427676365, 0.1782942773]),  # qucs_2x3_a
        ([[60], [10]], [3, 0.1], 1.0, [0.0519205298]),  # qucs_2x1_a
    ],
)
def test_currents_out_of_the_columns(ohms: list, v_rows: list, ohm: float, currents: list) -> None:
    found = solved(np.array(ohms, dtype=np.float64), np.array(v_rows), ohm, ohm)
    np.testing.assert_allclose(found.sensed[0] / ohm, currents, rtol=1e-9)


@pytest.mark.parametrize(
    ("v_rows", "currents"),
    [
        ([0, 1, 2, 3, 4], [0.088828557064, 0.080317460317, 0.073520164046, 0.067916666667]),  # 5x4-a-1
    ],
)
def test_ideal_wires_are_the_limit(v_rows: list, currents: list) -> None:
    ohm = 1e-7
    found = solved(OHMS, np.array(v_rows), ohm, ohm)
    np.testing.assert_allclose(found.sensed[0] / ohm, currents, rtol=1e-7)
