"""A package of its own name: others leave a `tests` of theirs beside what they install."""
