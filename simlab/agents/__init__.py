"""The strategy interfaces and the built-in strategies.

Knows only core and errors: an agent gets an observation and answers with messages.
"""
