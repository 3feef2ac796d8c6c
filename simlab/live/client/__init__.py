"""Clients of a live market."""
