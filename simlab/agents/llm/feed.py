"""A feed on which agents post and which others in the run read: a bounded list that strategies share.

Those that decide together see what was posted before; whoever acts later in the step sees what they post.

Example
-------
>>> shared = {}
>>> publish(shared, 3, "llm/0", "too dear")
>>> latest(shared, 5)
[{'step': 3, 'name': 'llm/0', 'text': 'too dear'}]
"""

from __future__ import annotations

from typing import Any

__all__ = ["MAX_POSTS", "latest", "publish"]

MAX_POSTS = 256
"""Posts that a run keeps."""

_KEY = "feed"


def publish(shared: dict[str, Any], step: int, name: str, text: str) -> None:
    """Put a post on the feed; the oldest goes when it is full."""
    posts = shared.setdefault(_KEY, [])
    posts.append([int(step), name, text])
    del posts[: max(0, len(posts) - MAX_POSTS)]


def latest(shared: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the latest posts, oldest first."""
    posts = shared.get(_KEY, [])[-count:] if count else []
    return [{"step": step, "name": name, "text": text} for step, name, text in posts]
