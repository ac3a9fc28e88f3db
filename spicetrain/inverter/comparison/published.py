"""What the papers say of their own circuits, to stand beside ours."""

from __future__ import annotations

# LATIM (IEEE TCAS-II 2021, 10.1109/TCSII.2021.3072289), abstract: its output error is so many times below PHAX's and
# RIM's, its energy by so large a share.
LATIM_ERROR_RATIOS = {
    ("mnist", "phax"): 14,
    ("mnist", "rim"): 6,
    ("fashion-mnist", "phax"): 29,
    ("fashion-mnist", "rim"): 4,
}
LATIM_ENERGY_SAVED = {"phax": 0.62, "rim": 0.53}

CAVEAT = (
    "The papers' circuits, technologies, networks and training differ from ours, and their texts are not all public: "
    "phax, rim and latim here are PHAX-style, RIM-style and LATIM-style, our reading of them on our own inverter. The "
    "published figures say what was claimed there, and were not measured by us."
)
