"""Operators: the headset client, the synthetic person, the replay of a recorded one."""
