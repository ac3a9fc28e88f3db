"""What the circuits of both systems begin with."""
