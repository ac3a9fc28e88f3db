"""Plan -> sweeps in ngspice -> tables with provenance."""
