"""A run lived again: restored as a notebook, reproduced with its figures checked, and what has become stale since."""
