"""Torch: conductances, the stage solver, one file per method, one readable loop."""
