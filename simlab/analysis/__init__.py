"""Read recordings; needs no simulator."""
