"""Look through the trees of a loaded model: what scikit-learn follows without checking must lead somewhere.

A tree is a table of nodes that name the rows of their children and the column they compare. Compiled code
follows these numbers wherever they lead, so those in a file that somebody else wrote have to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from simlab.errors import StrategyError

__all__ = ["CHECKED_TYPES", "check_trees"]

_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_TREE = "sklearn.tree._tree.Tree"

CHECKED_TYPES = (_HISTOGRAM, _TREE)
"""Types that skops does not trust by itself, which `check_trees` looks into."""

_MOST_OBJECTS = 1_000_000


def check_trees(model: Any, features: int) -> None:
    """Raise StrategyError where a tree of a model points to what is not there.

    Parameters
    ----------
    model : estimator
    features : int
        Columns of what it is given.
    """
    for found in _objects(model):
        kind = f"{type(found).__module__}.{type(found).__name__}"
        if kind == _HISTOGRAM:
            nodes = found.nodes
            splits = nodes["is_leaf"] == 0
            _check(nodes["left"], nodes["right"], nodes["feature_idx"], splits, features)
            if nodes["is_categorical"].any():
                raise StrategyError("its trees split by categories, which features are not")
        elif kind == _TREE:
            left, right = found.children_left, found.children_right
            _check(left, right, found.feature, (left != -1) | (right != -1), features)


def _check(left: Any, right: Any, column: Any, splits: Any, features: int) -> None:
    """Children come after their parents, so no path is without end; columns are among those given."""
    place = np.arange(len(splits))
    ok = len(splits) > 0
    for child in (left, right):
        to = child.astype(np.int64)
        ok = ok and bool(np.all(~splits | ((to > place) & (to < len(splits)))))
    column = column.astype(np.int64)
    if not (ok and np.all(~splits | ((column >= 0) & (column < features)))):
        raise StrategyError("its trees point to nodes or features that are not there")


def _objects(root: Any) -> Iterator[Any]:
    """Yield every object that a model holds, itself included."""
    waiting, seen = [root], {id(root)}
    while waiting:
        it = waiting.pop()
        yield it
        inside: list[Any] = list(getattr(it, "__dict__", {}).values())
        if isinstance(it, dict):
            inside += [*it.keys(), *it.values()]
        elif isinstance(it, list | tuple | set):
            inside += it
        elif isinstance(it, np.ndarray) and it.dtype == object:
            inside += it.ravel().tolist()
        new = [
            other for other in inside if id(other) not in seen and not isinstance(other, str | int | float)
        ]
        seen.update(map(id, new))
        waiting += new
        if len(seen) > _MOST_OBJECTS:
            raise StrategyError(f"it holds more than {_MOST_OBJECTS:,} objects")
