"""Let agents of a configuration, and agents that are created while a market runs, trade as its clients.

`mirror` keeps the market as the gateway tells it, `account` what one agent has, `host` shows both to
strategies, `troupe` lets a population decide in its order of deciding, `deciding` lets one
strategy, however slow, `schedule` says who acts when, `runner` is the process.
"""
