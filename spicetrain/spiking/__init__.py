"""The spiking system's circuit and network: what is built, and what is programmed into it."""
