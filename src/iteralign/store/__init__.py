"""The run directory: steps, checkpoints, ledger, lock."""
