"""Exports of episodes to the formats that training code reads."""
