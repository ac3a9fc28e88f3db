"""Small NNs for the inverter: its current, its loaded VTC, the load of a row."""
