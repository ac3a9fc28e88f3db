"""What a comparison says of inverter-based networks besides the figures that all systems have."""
