"""Train a model on recorded runs: features and labels, an honest split, scores, a card.

Owns `train`, which `simlab train` calls. Reads recordings, and the market not at all.
"""

from __future__ import annotations

from simlab.runner.training.train import Trained, train

__all__ = ["Trained", "train"]
