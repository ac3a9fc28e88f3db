"""What a comparison says of spiking networks besides the figures that all systems have."""
