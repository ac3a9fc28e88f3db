"""The only folder that knows ngspice: deck text, the process, its verdict, the worker pool."""
