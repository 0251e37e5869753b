"""vLLM in a process of its own, which owns the device and gives all of it back when it ends."""
