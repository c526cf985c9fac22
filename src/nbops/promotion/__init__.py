"""From a run to a proven bundle: gates, the scoring slice, the proof of parity, the bundle writer."""
