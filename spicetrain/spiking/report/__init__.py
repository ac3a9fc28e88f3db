"""The spiking system's sections of the page."""
