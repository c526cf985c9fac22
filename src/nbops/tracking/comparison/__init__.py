"""In what runs differ: one module for each of the things that a run is made of."""
