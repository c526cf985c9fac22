"""Other trackers beside the project's own store: their contract, its checks, and who copies runs to them."""
