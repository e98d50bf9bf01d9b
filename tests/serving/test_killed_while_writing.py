"""A process that is killed while it writes leaves a whole file behind."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph import KNNGraphClassifier, SavedModelError, load_predictor

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

# Saves two models in turn under one name, as fast as it can, and says when it
# has begun.
WRITER = """
import sys
from knngraph import load_predictor
predictors = [load_predictor(path, mmap=False) for path in sys.argv[2:]]
print("begun", flush=True)
while True:
    for predictor in predictors:
        predictor.save(sys.argv[1])
"""
KILLS = 12


def wait_for_more_than(path):
    """Until the file beside it is being written."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up and len(os.listdir(path.parent)) == 1:
        pass


def test_the_old_file_or_the_new_one_is_there(tmp_path):
    random = np.random.default_rng(6)
    X = random.normal(size=(4000, 20)).astype(np.float32)
    shares, paths = [], []
    for number in range(2):
        y = (X[:, number] > 0).astype(int)
        model = KNNGraphClassifier(
            inference="cascade", support="local", max_neighbors=8, random_state=0
        )
        predictor = model.fit(X, y).set_params(inference="lookup", ef=8).to_predictor()
        shares.append(predictor.predict_proba(X[:50]))
        paths.append(tmp_path / f"model-{number}")
        predictor.save(paths[-1])
    assert (shares[0] != shares[1]).any()
    folder = tmp_path / "served"
    folder.mkdir()
    path = folder / "model"
    load_predictor(paths[0]).save(path)
    size = path.stat().st_size
    cut_short = left_whole = 0
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), *map(str, paths)],
            stdout=subprocess.PIPE,
        )
        assert writer.stdout.readline() == b"begun\n"
        time.sleep(random.uniform(0, 0.1))
        if kill % 2:
            wait_for_more_than(path)
        os.kill(writer.pid, signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        found = load_predictor(path).predict_proba(X[:50])
        assert any(np.array_equal(found, expected) for expected in shares)
        for left in folder.iterdir():
            if left == path:
                continue
            # Not to be taken for a model by its name, nor where it is a part.
            assert left.name.startswith(".model.")
            assert left.suffix == ".tmp"
            if left.stat().st_size < size:
                cut_short += 1
                with pytest.raises(SavedModelError):
                    load_predictor(left)
            else:
                left_whole += 1
                found = load_predictor(left).predict_proba(X[:50])
                assert any(np.array_equal(found, expected) for expected in shares)
            left.unlink()
    print(f"\n{KILLS} kills: {cut_short} parts and {left_whole} whole files left over")
    assert cut_short + left_whole > 0
    load_predictor(paths[1]).save(path)
    assert_array_equal(load_predictor(path).predict_proba(X[:50]), shares[1])
