"""A look at a technology before it is used: what its transistors and its inverter do, and what of it is wrong."""
