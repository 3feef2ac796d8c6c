"""The loop: activation, latency, settlement, observers."""
