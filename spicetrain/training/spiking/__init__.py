"""Training of spiking networks on memristor arrays: time-stepped, with surrogate gradients."""
