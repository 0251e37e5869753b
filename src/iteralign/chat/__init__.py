"""One chat format for generating and training."""
