"""What stands for the circuit in training: small networks fitted to tables measured by ngspice."""
