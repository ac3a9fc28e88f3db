"""The laws of a spiking circuit: closed forms fitted to its tables."""
