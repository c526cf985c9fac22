"""Notebooks as stages of a graph, executed by papermill, cached by content."""
