"""Camera groups: what they promise, and the simulated one."""
