"""What is measured of the inverter and its loads."""
