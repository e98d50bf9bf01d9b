"""Files of every release answer as they did in it: what versioning.md promises."""

import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import knngraph
from knngraph import SavedModelError, load_predictor
from tests.serving.saved_files import RELEASES, installed, models

KINDS = (".predictor", ".estimator", ".pickle")
FILES = sorted(path for path in RELEASES.glob("*/*") if path.suffix in KINDS)


def read(path):
    """The model of a file."""
    if path.suffix == ".predictor":
        return load_predictor(path)
    if path.suffix == ".estimator":
        return knngraph.load(path)
    return pickle.loads(path.read_bytes())


def same_minor_releases(path):
    """Whether what a pickle depends on has only other patch releases here."""
    made, here = json.loads((path.parent / "made_with.json").read_text()), installed()
    return all(made[name].split(".")[:2] == here[name].split(".")[:2] for name in made)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("path", FILES, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_kept_file_gives_its_answers(path):
    try:
        model = read(path)
    except (SavedModelError, ImportError):
        # Predictors are read for good; pickles of numpy 2 are not, by numpy 1.
        if path.suffix == ".predictor" or same_minor_releases(path):
            raise
        pytest.skip("a pickle of other releases, refused")
    with np.load(path.parent / "answers.npz") as answers:
        queries = answers["queries"]
        assert_array_equal(model.predict(queries), answers[f"{path.name}.labels"])
        shares = answers[f"{path.name}.shares"]
    # Other processors add up in other orders.
    assert_allclose(model.predict_proba(queries), shares, rtol=1e-5, atol=1e-7)


def test_every_kind_is_kept():
    assert FILES
    present = RELEASES / knngraph.__version__
    if present.is_dir():
        kept = {path.name for path in FILES if path.parent == present}
        assert kept == set(models()[0]), "python -m tests.serving.saved_files"
