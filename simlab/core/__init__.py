"""The vocabulary every other package speaks: enums, message and event layouts, random streams, hashes.

Imports nothing of simlab but `errors`.
"""
