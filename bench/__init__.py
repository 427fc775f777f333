"""Measurements beside other packages and over long runs. Not shipped in the wheel."""
