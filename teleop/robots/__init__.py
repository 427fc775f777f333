"""Robot adapters, their guards, and the protocol they follow."""
