"""Measured data of a device of one's own, as files have them, become a [memristor] that a technology can name."""
