"""The circuits of the spiking system, built with PySpice."""
