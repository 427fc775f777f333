"""The commands behind `telecap`, a module per kind of work."""
