"""A process that is killed while it writes leaves a whole file behind."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import knngraph
from knngraph import KNNGraphClassifier, SavedModelError, load_predictor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

# Saves two models in turn under one name, as fast as it can, and says when it
# has begun.
WRITER = """
import sys
import knngraph
kind, target, *paths = sys.argv[1:]
if kind == "predictor":
    models = [knngraph.load_predictor(path, mmap=False) for path in paths]
    save = knngraph.Predictor.save
else:
    models = [knngraph.load(path) for path in paths]
    save = knngraph.save
print("begun", flush=True)
while True:
    for model in models:
        save(model, target)
"""
# How each kind of file is written and read, and how often its writer is killed.
KINDS = {
    "predictor": (lambda model, path: model.to_predictor().save(path), load_predictor),
    "estimator": (knngraph.save, knngraph.load),
}
KILLS = {"predictor": 12, "estimator": 6}
FEW_KILLS = 2


def wait_for_more_than(path):
    """Until the file beside it is being written."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up and len(os.listdir(path.parent)) == 1:
        pass


@pytest.fixture(scope="module")
def models():
    """Two models of the same size that answer otherwise, and queries."""
    X = np.random.default_rng(6).normal(size=(4000, 20)).astype(np.float32)
    made = []
    for number in range(2):
        model = KNNGraphClassifier(
            inference="cascade", support="local", max_neighbors=8, random_state=0
        ).fit(X, (X[:, number] > 0).astype(int))
        made.append(model.set_params(inference="lookup", ef=8))
    return made, X[:50]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "all_kills", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_the_old_file_or_the_new_one_is_there(all_kills, kind, models, tmp_path, tried):
    n_kills = KILLS[kind] if all_kills else FEW_KILLS
    models, queries = models
    save, load = KINDS[kind]
    shares = [model.predict_proba(queries) for model in models]
    assert (shares[0] != shares[1]).any()
    paths = [tmp_path / f"model-{number}" for number in range(2)]
    folder = tmp_path / "served"
    folder.mkdir()
    path = folder / "model"
    for model, place in zip([*models, models[0]], [*paths, path]):
        save(model, place)
    size = min(place.stat().st_size for place in paths)

    def is_whole(place):
        found = load(place).predict_proba(queries)
        return any(np.array_equal(found, expected) for expected in shares)

    random = np.random.default_rng(7)
    cut_short = left_whole = 0
    for kill in range(n_kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, kind, str(path), *map(str, paths)],
            stdout=subprocess.PIPE,
        )
        assert writer.stdout.readline() == b"begun\n"
        time.sleep(random.uniform(0, 0.1))
        if kill % 2:
            wait_for_more_than(path)
        os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        assert is_whole(path)
        for left in folder.iterdir():
            if left == path:
                continue
            # Not to be taken for a model by its name, nor where it is a part.
            assert left.name.startswith(".model.")
            assert left.suffix == ".tmp"
            if left.stat().st_size < size:
                cut_short += 1
                with pytest.raises(SavedModelError):
                    load(left)
            else:
                left_whole += 1
                assert is_whole(left)
            left.unlink()
    assert cut_short + left_whole > 0
    save(models[1], path)
    assert_array_equal(load(path).predict_proba(queries), shares[1])
    tried["kill -9 while a file was written: the old or the new one was there"] += (
        n_kills
    )
