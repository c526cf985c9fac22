"""Secrets never reach a record: what they are, where they are in code and text, and their masks."""
