"""What is measured of a spiking circuit's parts."""
