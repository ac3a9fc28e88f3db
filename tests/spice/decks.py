"""Decks that several tests use."""

from __future__ import annotations

from dataclasses import replace

from spicetrain.spice.deck import Deck

DIVIDER = Deck("v1 in 0 0.0\nr1 in out 1000.0\nr2 out 0 3000.0", ".dc v1 0.0 1.0 0.25", ("v(out)", "i(v1)"), 5)

# Minutes of work without a table that fills the disk: to be killed, interrupted, and stopped at a time limit.
ENDLESS = replace(DIVIDER, analysis=".tran 1.0 1e9 0.0 1.0", points=None, saves=("v(out)",))
