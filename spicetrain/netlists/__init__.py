"""The circuits, built with PySpice: inverter, memristor, crossbar, the whole network."""
