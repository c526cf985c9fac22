"""Pictures of runs as SVG, written by hand: no script, no library, in light and dark."""
