"""A model is stored in the same bytes, and what is not trusted, was changed or does not fit is refused."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.tree import DecisionTreeRegressor

from simlab.agents.ml import CARD_FILE, MODEL_FILE, load_model, make_estimator, save_model, versions
from simlab.agents.ml.store import _digest, _sha256
from simlab.errors import StrategyError

NAMES = ["spread", "imbalance", "flow_5"]
GENERATOR = np.random.default_rng(5)
X = GENERATOR.normal(size=(400, 3))
Y = np.sign(X[:, 0] + GENERATOR.normal(size=400)).astype(int)

CLASSIFIERS: list[Any] = [
    {"sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 5}},
    {"sklearn.ensemble.RandomForestClassifier": {"n_estimators": 4}},
    {"sklearn.ensemble.GradientBoostingClassifier": {"n_estimators": 4}},
    ["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.LogisticRegression"],
    {"sklearn.calibration.CalibratedClassifierCV": {"estimator": "sklearn.svm.LinearSVC"}},
]


class Stranger(ClassifierMixin, BaseEstimator):
    """An estimator from elsewhere, as somebody might put into a file."""

    def fit(self, x: Any, y: Any) -> Stranger:
        self.classes_, self.n_features_in_ = np.unique(y), x.shape[1]
        return self

    def predict(self, x: Any) -> Any:
        return np.ones(len(x), int)


def _card(task: str = "classifier", **others: Any) -> dict[str, Any]:
    features = {"version": 1, "names": NAMES}
    return {
        "task": task,
        "features": features,
        "versions": versions(),
        "command": "simlab train t.yaml r",
        **others,
    }


def _saved(folder: Path, described: Any = CLASSIFIERS[0]) -> Path:
    save_model(folder, make_estimator(described, seed=1).fit(X, Y), _card())
    return folder


def _forged(folder: Path, content: bytes, **card: Any) -> Path:
    """Write a model as somebody would who knows the format: hashes and digest are right."""
    folder.mkdir()
    (folder / MODEL_FILE).write_bytes(content)
    whole = {"format": 1, **_card(**card), "model": {"file": MODEL_FILE, "sha256": _sha256(content)}}
    (folder / CARD_FILE).write_text(json.dumps(whole | {"digest": _digest(whole)}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("described", CLASSIFIERS, ids=lambda it: str(it).rpartition(".")[2][:20])
def test_a_stored_model_forecasts_the_same_and_has_the_same_bytes(described: Any, tmp_path: Path) -> None:
    one, other = (_saved(tmp_path / name, described) for name in ("one", "other"))
    assert (one / MODEL_FILE).read_bytes() == (other / MODEL_FILE).read_bytes()
    estimator, model = make_estimator(described, seed=1).fit(X, Y), load_model(one)
    assert_array_equal(model.estimator.predict_proba(X), estimator.predict_proba(X))
    column = list(estimator.classes_).index(1)
    assert_array_equal(model.strengths(X)[:, 1], estimator.predict_proba(X)[:, column])
    assert model.features.names == tuple(NAMES)


def test_a_classifier_without_probabilities_is_sure() -> None:
    from simlab.agents.ml.store import strengths

    estimator = make_estimator("sklearn.linear_model.RidgeClassifier", seed=1).fit(X, Y)
    found = strengths(estimator, "classifier", X)
    assert_array_equal(found[:, 1] - found[:, 0], estimator.predict(X))


def test_there_must_be_a_model(tmp_path: Path) -> None:
    with pytest.raises(
        StrategyError, match=r"no trained model \(card.json is missing\); make one with `simlab train"
    ):
        load_model(tmp_path)
    _saved(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
    with pytest.raises(StrategyError, match=r"model.skops is missing"):
        load_model(tmp_path)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    folder, other = _saved(tmp_path / "one"), _saved(tmp_path / "other", CLASSIFIERS[3])
    shutil.copy(other / MODEL_FILE, folder / MODEL_FILE)
    with pytest.raises(
        StrategyError, match=r"not the file that its card was written for .* simlab train t.yaml r"
    ):
        load_model(folder)


def test_a_changed_card_is_refused(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "one")
    text = (folder / CARD_FILE).read_text(encoding="utf-8")
    (folder / CARD_FILE).write_text(text.replace("flow_5", "flow_6"), encoding="utf-8")
    with pytest.raises(StrategyError, match="was changed after training"):
        load_model(folder)
    (folder / CARD_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(StrategyError, match=r"is no model card"):
        load_model(folder)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"features": {"version": 0, "names": NAMES}}, "its features are of version 0, this simlab's of 1"),
        ({"features": {"version": 1, "names": NAMES[:2]}}, "the model takes 3 features and its card names 2"),
        ({"features": {"version": 1, "names": [*NAMES[:2], "flow"]}}, "flow takes a number"),
        ({"versions": {"scikit-learn": "0.24.2"}}, r'pip install "scikit-learn==0.24.2", or train it again'),
        ({"format": 9}, "its card are of version 9|its card is"),
    ],
)
def test_what_does_not_fit_is_refused(card: dict[str, Any], message: str, tmp_path: Path) -> None:
    content = (_saved(tmp_path / "one") / MODEL_FILE).read_bytes()
    with pytest.raises(StrategyError, match=message):
        load_model(_forged(tmp_path / "other", content, **card))


def test_types_from_elsewhere_are_refused_when_stored_and_when_loaded(tmp_path: Path) -> None:
    stranger = Stranger().fit(X, Y)
    with pytest.raises(
        StrategyError, match=r"types that are not trusted.*Stranger; choose another estimator"
    ):
        save_model(tmp_path / "one", stranger, _card())
    assert not (tmp_path / "one").exists()
    with pytest.raises(StrategyError, match=r"types that are not trusted.*Stranger"):
        load_model(_forged(tmp_path / "other", skops.io.dumps(stranger)))


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x05\x06" + bytes(18)])
def test_what_skops_did_not_write_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="no file that skops wrote"):
        load_model(_forged(tmp_path / "it", content))


def test_trees_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    """scikit-learn would follow them out of the array."""
    boosted = make_estimator(CLASSIFIERS[0], seed=1).fit(X, Y)
    for field, value in (("left", 10**6), ("right", 0), ("feature_idx", 3)):
        bad = skops.io.loads(
            skops.io.dumps(boosted), trusted=skops.io.get_untrusted_types(data=skops.io.dumps(boosted))
        )
        bad._predictors[0][0].nodes[field][0] = value
        with pytest.raises(StrategyError, match="point to nodes or features that are not there"):
            load_model(_forged(tmp_path / field, skops.io.dumps(bad)))
    tree = DecisionTreeRegressor(max_depth=2).fit(X, Y)
    state = tree.tree_.__getstate__()
    state["nodes"]["feature"][0] = 77
    tree.tree_.__setstate__(state)
    with pytest.raises(StrategyError, match="point to nodes or features that are not there"):
        load_model(_forged(tmp_path / "tree", skops.io.dumps(tree), task="regressor"))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file, file.open("schema.json", "w") as member:
        for _ in range(257):
            member.write(bytes(1 << 20))
    with pytest.raises(StrategyError, match=r"269,484,032 bytes; the most is 268,435,456"):
        load_model(_forged(tmp_path / "bomb", packed.getvalue()))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("os.system", "no estimator 'os.system' in scikit-learn"),
        ("sklearn.utils.estimator_html_repr", "no estimator"),
        ("LogisticRegression", r"did you mean 'sklearn.linear_model.LogisticRegression'\?"),
        ({"sklearn.linear_model.Ridge": {"alfa": 1}}, r"has no parameter 'alfa'; did you mean 'alpha'\?"),
        ({"sklearn.linear_model.Ridge": {"alpha": -1}}, "'alpha' parameter of Ridge must be"),
        ([], "the list is empty"),
        ({"a": {}, "b": {}}, "is none; write for example"),
    ],
)
def test_estimators_that_cannot_be_made_are_refused(described: Any, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        make_estimator(described, seed=1)
