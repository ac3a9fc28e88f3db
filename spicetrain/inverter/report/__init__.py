"""The inverter system's sections of the page."""
