"""Cells become records, records become runs: the recorder, the store and what is asked of them."""
