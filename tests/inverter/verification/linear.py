"""A technology whose inverter is a linear amplifier: what a transient of it does, pen and paper say.

A transistor carries gm (v_g - v_s) + gds (v_d - v_s). Both of an inverter of m fingers on rails +-h: it is a source of
-(gm / gds) v_in behind 2 m gds, and its upper rail gives m [gm (h - v_in) + gds (h - v_out)].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spicetrain.array.crossbar import Crossbar
from spicetrain.inverter.network import Network
from spicetrain.technology import Technology, load_technology

GM, GDS, H = 2e-5, 1e-5, 0.25
GAIN = -GM / GDS

_TOML = f"""
name = "linear"
rails = {{ vdd_V = {H}, vss_V = {-H} }}
[transistors]
library = "linear.lib"
element = "X"
nmos = "lin"
pmos = "lin"
multiplicity = "fingers"
[inverter]
nmos = {{ w = 1.0 }}
pmos = {{ w = 1.0 }}
[memristor]
g_min_S = 1e-8
g_max_S = 1e-3
"""
_LIBRARY = f"""* linear
.subckt lin d g s b w=1 fingers=1
g1 d s g s {{{GM}*fingers}}
r1 d s {{1/({GDS}*fingers)}}
.ends
"""


def linear_technology(folder: Path) -> Technology:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "linear.lib").write_text(_LIBRARY)
    (folder / "linear.toml").write_text(_TOML)
    return load_technology(folder / "linear.toml")


def one_column(pos_S: float, neg_S: float, size: float, ground_S: float = 0.0) -> Network:
    """1-1: a column of one row pair and two equal bias rows, and the output inverter behind it."""
    box = Crossbar(*(np.array(g) for g in ([[pos_S]], [[neg_S]], [1e-6], [1e-6])))
    return Network((box,), (np.array([[size]]),), "unipolar", {}, ground_S)
