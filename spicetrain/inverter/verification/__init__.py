"""The trained network in ngspice, against what its method predicted."""
