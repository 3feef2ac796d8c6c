"""The YAML schema, loading, and building a simulation from it."""
