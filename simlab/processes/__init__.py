"""Fundamental value, news and shocks: what happens to the market from outside. Knows only core and errors."""
