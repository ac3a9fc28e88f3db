"""Where model and circuit meet: the trained network, simulated in ngspice, against what its method predicted."""
