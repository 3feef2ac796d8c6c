"""Agents that are language models: what they are shown and asked, and what becomes of their answers.

Two halves meet at a `Session`, which asks a model and never raises for what it does. The model's half:
`settings` (the section ``llm``), `session`, `client` (one question to an endpoint), `exchange` (requests
and answers as plain data), `cassette` (what keeps them), `local` (a small model on this machine). The
agent's half: `agent` (the strategy ``llm``), `options` (what YAML says of it), `graph` (observe, decide,
check, act), `view` (what an agent sees), `prompts` (templates), `answers` (the form of an answer), `rules`
(the market's rules), `memory`, `feed`, `tools`. Imports only `simlab.core` and `simlab.errors`; LangGraph,
langchain-openai and Jinja2 are imported when an agent is asked.
"""
