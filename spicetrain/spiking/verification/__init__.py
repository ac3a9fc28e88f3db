"""The trained spiking network in ngspice, against the model of its circuit."""
