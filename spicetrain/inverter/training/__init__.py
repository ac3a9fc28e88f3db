"""The stage solver, one file a method, the trainable network."""
