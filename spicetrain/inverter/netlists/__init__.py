"""The circuits of the inverter system, built with PySpice."""
