"""What both fits share: the MLP and its fit, errors, files."""
