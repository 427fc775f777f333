"""Entry points of the processes of a system: `python -m teleop.processes.NAME CONFIG.json`."""
