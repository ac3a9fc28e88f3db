"""A crossbar of devices: the only place with Ohm's law. In numpy, in torch, in a deck."""
