"""Time-stepped training with surrogate gradients, as the circuit has it or as a regular network."""
