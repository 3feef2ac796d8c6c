"""Other worlds on simlab's market: reinforcement-learning environments and Mesa models.

Owns what makes a market in YAML look like an environment or a model of another library, each in a module of
its own that imports that library; this one imports nothing. It may import `runner` and what is below, and
not its neighbour `live`.
"""
