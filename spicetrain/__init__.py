"""spicetrain: memristive neural networks trained with the real circuit in the loop, on ngspice.

Importing this package does nothing; import the verb you need from its module.
"""

__version__ = "0.1.0"
