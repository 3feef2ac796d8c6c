"""Instruments, admission rules, fees, the ledger and positions. Imports core and engine constants only."""
