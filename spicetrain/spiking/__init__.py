"""Spiking networks on memristor arrays."""
