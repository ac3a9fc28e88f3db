"""Inverter-based memristive networks: crossbars feed CMOS inverters, which feed the next crossbar."""
