"""Files that this release writes, kept for the tests of later ones.

`python -m tests.serving.saved_files` writes them, with what they answer, to
`tests/serving/releases/<version>`: anew until the release is out, never again after it.
"""

import argparse
import json
import pickle
import platform
from importlib import metadata
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knngraph
from knngraph import KNNGraphClassifier

RELEASES = Path(__file__).resolve().parent / "releases"
_PACKAGES = ("knngraph", "numpy", "scipy", "scikit-learn")


def installed() -> dict[str, str]:
    """Releases that a pickle depends on."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return versions | {"python": platform.python_version()}


def models() -> tuple[dict[str, object], np.ndarray]:
    """Small fitted models by the names of their files, and queries for all."""
    X, y = load_iris(return_X_y=True)
    X, queries = X[::2].astype(np.float32), X[1::2].astype(np.float32)
    y = np.array(["setosa", "versicolor", "virginica"])[y[::2]]
    with_gaps = np.where(np.arange(X.size).reshape(X.shape) % 13 == 0, np.nan, X)

    def fitted(**settings):
        return KNNGraphClassifier(random_state=0, **settings).fit(X, y)

    lookup = fitted(metric="euclidean", walk="hnsw")
    trees = fitted(inference="cascade", metric="trees")
    pipeline = make_pipeline(
        SimpleImputer(), StandardScaler(), KNNGraphClassifier(random_state=0)
    )
    return {
        "lookup.predictor": lookup,
        "medoids.predictor": fitted(metric="euclidean", walk="medoids", ef=2),
        "linear-adaptive.predictor": fitted(inference="adaptive", metric="learned"),
        "trees-cascade.predictor": trees,
        "condensed.predictor": lookup.condense(),
        "pipeline.predictor": pipeline.fit(with_gaps, y),
        "trees-cascade.estimator": trees,
        "linear-adaptive.pickle": fitted(inference="adaptive", metric="learned"),
    }, queries


def write(folder: Path) -> None:
    """Save the models, with their answers to the queries."""
    folder.mkdir(parents=True, exist_ok=True)
    found, queries = models()
    answers = {"queries": queries}
    for name, model in found.items():
        path = folder / name
        if path.suffix == ".predictor":
            knngraph.to_predictor(model).save(path)
        elif path.suffix == ".estimator":
            knngraph.save(model, path)
        else:
            path.write_bytes(pickle.dumps(model))
        answers[f"{name}.labels"] = model.predict(queries)
        answers[f"{name}.shares"] = model.predict_proba(queries)
    np.savez_compressed(folder / "answers.npz", **answers)
    (folder / "made_with.json").write_text(json.dumps(installed(), indent=2) + "\n")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    write(RELEASES / knngraph.__version__)
