"""Run one experiment, record it, say how it went."""
