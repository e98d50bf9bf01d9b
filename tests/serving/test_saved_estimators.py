"""Saved estimators: whole in another process, refused where a bit is wrong."""

import ast
import copy
import itertools
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

import knngraph
from knngraph import (
    HNSWKNNClassifier,
    KNNGraphClassifier,
    KNNGraphTransformer,
    KTreeClassifier,
    SavedModelError,
)
from knngraph.index.hnsw import HNSWIndex
from knngraph.serving import checked_pickle, estimator_file
from tests.hostile import ALL_ESTIMATORS, GRAPHS, clusters
from tests.serving.models import INFERENCES, fitted

ESTIMATORS = {
    "classifier": KNNGraphClassifier(M=4, max_neighbors=4, ef=8, random_state=0),
    "transformer": KNNGraphTransformer(n_neighbors=3, random_state=0),
    "hnsw": HNSWKNNClassifier(M=4, random_state=0),
    "k_tree": KTreeClassifier(),
}


@pytest.fixture(scope="module", params=[*ESTIMATORS, "condensed"])
def small(request):
    """A fitted estimator and the rows it was fitted on."""
    X, y = load_iris(return_X_y=True)
    X, y = X[::5].astype(np.float32), y[::5]
    if request.param == "condensed":
        return clone(ESTIMATORS["classifier"]).fit(X, y).condense(), X
    return clone(ESTIMATORS[request.param]).fit(X, y), X


def answers(estimator, X):
    if isinstance(estimator, KNNGraphTransformer):
        return estimator.transform(X).toarray()
    return estimator.predict_proba(X)


# Loads many damaged pickles and says of each: refused, no estimator, or the same
# answers. A crash is a return code. Memory is bounded, because a bit in an opcode of
# the outer pickle can make pickle itself ask for any amount of it.
DAMAGED = """
import pickle, sys, warnings
import numpy as np
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
except ImportError:
    pass
warnings.simplefilter("ignore")
content, expected, X, places = pickle.load(open(sys.argv[1], "rb"))
ways = {"refused": 0, "none": 0, "same": 0, "wrong": 0}
for cut, bit in places:
    damaged = bytearray(content[:cut])
    if bit is not None:
        damaged[bit // 8] ^= 1 << bit % 8
    try:
        loaded = pickle.loads(damaged)
    except Exception:
        ways["refused"] += 1
        continue
    answer = getattr(loaded, "predict_proba", getattr(loaded, "transform", None))
    if answer is None:
        ways["none"] += 1
        continue
    found = answer(X)
    found = found.toarray() if hasattr(found, "toarray") else found
    ways["same" if np.array_equal(found, expected) else "wrong"] += 1
print(repr(ways))
"""


def test_damaged_pickles_never_answer_wrongly(small, tmp_path, tried):
    estimator, X = small
    content = pickle.dumps(estimator)
    random = np.random.default_rng(3)
    edges = [*range(400), *range(len(content) - 200, len(content))]
    bits = {8 * place + bit for place in edges for bit in range(8)}
    bits |= set(random.choice(8 * len(content), 1500).tolist())
    cuts = {*edges, *random.choice(len(content), 500).tolist()}
    places = [(cut, None) for cut in cuts] + [(None, bit) for bit in bits]
    case = (content, answers(estimator, X), X, places)
    (tmp_path / "case").write_bytes(pickle.dumps(case))
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, str(tmp_path / "case")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ways = ast.literal_eval(done.stdout)
    assert sum(ways.values()) == len(places) > 6000
    assert ways["wrong"] == 0, ways
    assert ways["refused"] > 0.99 * len(places), ways
    tried["corruptions of pickled estimators: no crash, no wrong answer"] += len(places)


def test_damaged_files_are_refused(small, tmp_path, tried):
    estimator, X = small
    path = tmp_path / "estimator"
    knngraph.save(estimator, path)
    content = path.read_bytes()
    random = np.random.default_rng(4)
    bits = [*range(8 * 72), *random.choice(8 * len(content), 200).tolist()]
    damaged = bytearray(content)
    for bit in bits:
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(SavedModelError, match=r"estimator"):
            knngraph.load(path)
        damaged[bit // 8] ^= 1 << bit % 8
    for cut in random.choice(len(content), 100):
        path.write_bytes(content[:cut])
        with pytest.raises(SavedModelError, match="cut off"):
            knngraph.load(path)
    path.write_bytes(content)
    assert_array_equal(answers(knngraph.load(path), X), answers(estimator, X))
    tried["corruptions of estimator files: every one refused"] += len(bits) + 100


def test_another_format_is_refused(small, monkeypatch):
    estimator, _ = small
    for other, here in ((2, 1), (1, 2)):
        monkeypatch.setattr(checked_pickle, "STATE_FORMAT", other)
        content = pickle.dumps(estimator)
        monkeypatch.setattr(checked_pickle, "STATE_FORMAT", here)
        with pytest.raises(SavedModelError, match=f"format {other}; .*format {here}"):
            pickle.loads(content)


def test_a_file_of_a_newer_format_is_refused(small, tmp_path, monkeypatch):
    path = tmp_path / "saved"
    monkeypatch.setattr(estimator_file, "FORMAT_VERSION", 2)
    knngraph.save(small[0], path)
    monkeypatch.setattr(estimator_file, "FORMAT_VERSION", 1)
    with pytest.raises(SavedModelError, match=r"saved.* format 2; .* up to format 1"):
        knngraph.load(path)


def test_a_state_that_was_changed_is_refused(small):
    cls, version, digest, payload = small[0].__reduce_ex__(5)[1]
    changed = payload.replace(b"n_jobs", b"n_jabs")
    assert changed != payload
    with pytest.raises(SavedModelError, match=f"The saved {cls.__name__} is damaged"):
        checked_pickle.restore(cls, version, digest, changed)


def test_what_cannot_be_unpickled_here_says_with_what_it_was_saved(tmp_path):
    path = tmp_path / "estimator"
    knngraph.save(Gone(), path)
    gone, globals()["Gone"] = Gone, None
    try:
        with pytest.raises(SavedModelError, match=r"undamaged.*saved with .*numpy"):
            knngraph.load(path)
    finally:
        globals()["Gone"] = gone


class Gone:
    """A class of a package that is not there when the file is loaded."""


def test_copies_are_like_the_original(small):
    estimator, X = small
    shallow, deep = copy.copy(estimator), copy.deepcopy(estimator)
    for twin in (shallow, deep):
        assert type(twin) is type(estimator)
        assert vars(twin).keys() == vars(estimator).keys()
        assert_array_equal(answers(twin, X), answers(estimator, X))
    fitted_array = "graph_" if hasattr(estimator, "graph_") else "classes_"
    one = getattr(estimator, fitted_array)
    assert getattr(shallow, fitted_array) is one
    assert getattr(deep, fitted_array) is not one


def test_an_unfitted_estimator_pickles_as_its_parameters():
    unfitted = KNNGraphClassifier(ef=3, random_state=7)
    loaded = pickle.loads(pickle.dumps(unfitted))
    assert loaded.get_params() == unfitted.get_params()
    assert joblib.hash(unfitted) == joblib.hash(clone(unfitted))


@pytest.mark.usefixtures("engine")
def test_pickle_of_an_index_is_checked():
    index = HNSWIndex(2, 40, M=4)
    index.add(np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32))
    index = pickle.loads(pickle.dumps(index))
    index.add(np.zeros((1, 2), dtype=np.float32))  # room and count came along
    assert index.n_points == 31
    old = {"version": 1, "n_features": 2, "graph": None}
    with pytest.raises(SavedModelError, match=r"format 1; .* reads format 2"):
        index.__setstate__(old)
    state = index.__getstate__()
    state["parts"]["links"] = state["parts"]["links"][:, :-4]
    with pytest.raises(ValueError, match=r"HNSW index has shape \(31, 32\)"):
        index.__setstate__(state)


ALL_AGAIN = """
import pickle, sys
from pathlib import Path
import joblib, knngraph
folder = Path(sys.argv[1])
ways = {"pickle": lambda path: pickle.loads(path.read_bytes()),
        "joblib": joblib.load, "save": knngraph.load}
X, answers = pickle.loads((folder / "rows").read_bytes()), {}
for path in folder.glob("*.saved"):
    estimator = ways[path.stem.split("-")[1]](path)
    if "n_jobs" in estimator.get_params():
        estimator.set_params(n_jobs=3)
    ask = getattr(estimator, "predict_proba", getattr(estimator, "transform", None))
    found = ask(X)
    answers[path.stem] = found.toarray() if hasattr(found, "toarray") else found
(folder / "answers").write_bytes(pickle.dumps(answers))
"""


def test_every_estimator_answers_alike_in_another_process(tmp_path, tried):
    data = clusters(15)
    save = {
        "pickle": lambda model, path: path.write_bytes(pickle.dumps(model)),
        "joblib": joblib.dump,
        "save": knngraph.save,
    }
    expected, inferences = {}, itertools.cycle(INFERENCES)
    for name, way in zip(ALL_ESTIMATORS, itertools.cycle(save)):
        model = ALL_ESTIMATORS[name]().fit(data.X, data.y)
        if name in GRAPHS:
            model.set_params(inference=next(inferences))
        # From here on every number of threads gives the same bits.
        expected[f"{name}-{way}"] = answers(model, data.queries)
        save[way](model, tmp_path / f"{name}-{way}.saved")
    (tmp_path / "rows").write_bytes(pickle.dumps(data.queries))
    subprocess.run([sys.executable, "-c", ALL_AGAIN, str(tmp_path)], check=True)
    found = pickle.loads((tmp_path / "answers").read_bytes())
    assert found.keys() == expected.keys()
    for name, shares in expected.items():
        assert_array_equal(found[name], shares, err_msg=name)
    tried["estimators that answer alike in a fresh process"] += len(found)


PROGRAM = """
import sys
import numpy as np
import joblib, pickle, knngraph
way, path, n_jobs, rows, said = sys.argv[1:]
if way == "pickle":
    estimator = pickle.load(open(path, "rb"))
else:
    estimator = {"joblib": joblib.load, "save": knngraph.load}[way](path)
estimator.set_params(n_jobs=int(n_jobs))
X = np.load(rows)
np.savez(said, labels=estimator.predict(X), shares=estimator.predict_proba(X))
"""


@pytest.mark.parametrize(
    ("inference", "way", "n_jobs"),
    [("lookup", "pickle", 2), ("adaptive", "joblib", 3), ("cascade", "save", 1)],
)
def test_another_process_and_another_number_of_threads(
    inference, way, n_jobs, tmp_path
):
    classifier, queries = fitted(inference, labels=np.array(["a", "b", "c"]), n_jobs=2)
    path = tmp_path / "estimator"
    if way == "pickle":
        path.write_bytes(pickle.dumps(classifier))
    else:
        {"joblib": joblib.dump, "save": knngraph.save}[way](classifier, path)
    np.save(tmp_path / "rows.npy", queries)
    arguments = [way, path, n_jobs, tmp_path / "rows.npy", tmp_path / "said.npz"]
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], check=True)
    said = np.load(tmp_path / "said.npz")
    assert_array_equal(said["labels"], classifier.predict(queries))
    assert_array_equal(said["shares"], classifier.predict_proba(queries))
