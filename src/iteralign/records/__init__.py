"""The records that travel between stages and lie in the store."""
