"""What is measured of the inverter and of the loads that crossbars are to it."""
