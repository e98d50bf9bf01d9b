"""Files that are damaged, cut off, of another release or something else are refused."""

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import knngraph
from knngraph import KNNGraphClassifier, Predictor, SavedModelError, load_predictor
from knngraph.serving.predictor import _from_bytes
from tests.serving.models import INFERENCES, fitted

HEADER_AT = 72
_REFUSED = "corruptions of predictor files: every one refused"


@pytest.fixture(scope="module")
def small():
    """Bytes of a small predictor file, with the answers that it must give."""
    X, y = load_iris(return_X_y=True)
    X, y = X[::5].astype(np.float32), np.array(["a", "bb", "c"])[y[::5]]
    model = KNNGraphClassifier(inference="cascade", M=4, max_neighbors=4, ef=8)
    # With hnswlib's graph in the file: tests/test_walks.py has the other.
    predictor = model.set_params(random_state=0, walk="hnsw").fit(X, y).to_predictor()
    return b"".join(predictor._packed()), X, predictor.predict_proba(X)


@pytest.fixture(scope="module")
def with_trees():
    """The same of a model with trees, few rows and many columns."""
    random = np.random.default_rng(0)
    X = random.normal(size=(12, 40)).astype(np.float32)
    model = KNNGraphClassifier(metric="trees", M=4, max_neighbors=4, random_state=0)
    predictor = model.fit(X, np.arange(12) % 3).to_predictor()
    assert predictor._state.model.space.trees is not None
    return b"".join(predictor._packed()), X, predictor.predict_proba(X)


def header_of(content):
    length = struct.unpack_from("<Q", content, 32)[0]
    return json.loads(content[HEADER_AT : HEADER_AT + length]), HEADER_AT + length


def sealed(content, header, version=1):
    """The same arrays under another header, with all checksums made right."""
    old, start = header_of(content)
    assert old["arrays"]
    text = json.dumps(header).encode()
    text += b" " * (-(HEADER_AT + len(text)) % 64)
    length = HEADER_AT + len(text) + len(content) - start
    preamble = struct.pack("<16sIIQQ", content[:16], version, 0, length, len(text))
    digest = hashlib.sha256(preamble + text).digest()
    return preamble + digest + text + content[start:]


def test_every_cut_and_flip_of_a_predictor_is_refused(small, tried):
    content, X, shares = small
    random = np.random.default_rng(0)
    _, start = header_of(content)
    cuts = {*range(start), *random.choice(len(content), 3000).tolist()}
    flips = {8 * place + int(random.integers(8)) for place in range(start)}
    flips |= set(random.choice(8 * len(content), 3000).tolist())
    refused = 0
    for cut in sorted(cuts):
        with pytest.raises(SavedModelError):
            _from_bytes(content[:cut])
        refused += 1
    damaged = bytearray(content)
    for bit in sorted(flips):
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SavedModelError):
            _from_bytes(damaged)
        damaged[bit // 8] ^= 1 << bit % 8
        refused += 1
    assert_array_equal(_from_bytes(damaged).predict_proba(X), shares)
    assert refused == len(cuts) + len(flips) > 6000
    tried[_REFUSED] += refused


@pytest.mark.parametrize("mmap", [True, False])
def test_files_are_refused_as_bytes_are(small, mmap, tmp_path, tried):
    content, X, shares = small
    path = tmp_path / "model"
    random = np.random.default_rng(1)
    for cut in [0, 1, 15, 71, 72, *random.choice(len(content), 50), len(content) - 1]:
        path.write_bytes(content[:cut])
        with pytest.raises(SavedModelError):
            load_predictor(path, mmap=mmap)
        tried[_REFUSED] += 1
    for place in random.choice(len(content), 50):
        path.write_bytes(content[:place] + b"\xa5" + content[place + 1 :])
        if content[place] != 0xA5:
            with pytest.raises(SavedModelError):
                load_predictor(path, mmap=mmap)
            tried[_REFUSED] += 1
    path.write_bytes(content)
    assert_array_equal(load_predictor(path, mmap=mmap).predict_proba(X), shares)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: b"", "cut off: it has 0 bytes"),
        (lambda c: c[:-1], "cut off: it has .* bytes, .* Copy the file again"),
        (lambda c: c + b"\0", "1 bytes more than its header states"),
        (lambda c: b"PK\3\4" + c[4:], r"not a predictor saved by knngraph.*PK"),
        (lambda c: c[:16] + b"\2" + c[17:], "format 2; .* up to format 1. Upgrade"),
        (lambda c: c[:100] + b"\xff" + c[101:], "damaged in its header"),
        (lambda c: c[:-100] + b"\xff" + c[-99:], "damaged in "),
        (lambda c: c[:20] + b"\1" + c[21:], "damaged in its first bytes"),
        (lambda c: c[:16] + b"\0" + c[17:], "damaged in its first bytes"),
        (lambda c: c[:38] + b"\1" + c[39:], "damaged in its first bytes"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong(small, change, message, mmap, tmp_path):
    path = tmp_path / "a model"
    path.write_bytes(change(small[0]))
    with pytest.raises(SavedModelError, match="a model.*" + message):
        load_predictor(path, mmap=mmap)


def test_what_is_no_file_is_refused(small, tmp_path):
    with pytest.raises(SavedModelError, match="is a directory"):
        load_predictor(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_predictor(tmp_path / "nothing")
    if os.path.exists("/dev/null"):
        with pytest.raises(SavedModelError, match="not a regular file"):
            load_predictor("/dev/null")


def test_a_predictor_and_an_estimator_are_told_apart(tmp_path):
    classifier, _ = fitted("lookup")
    classifier.to_predictor().save(tmp_path / "predictor")
    knngraph.save(classifier, tmp_path / "estimator")
    with pytest.raises(SavedModelError, match=r"an estimator.*with knngraph\.load\."):
        load_predictor(tmp_path / "estimator")
    with pytest.raises(SavedModelError, match=r"a predictor.*load_predictor"):
        knngraph.load(tmp_path / "predictor")


def test_the_file_holds_no_pickle_and_no_copy_of_the_rows(small):
    content, X, _ = small
    header, _ = header_of(content)
    assert {entry["dtype"] for entry in header["arrays"]} <= {
        "<f4", "<f8", "<i8", "<i4", "<u8", "|u1", "<U2",
    }  # fmt: skip
    rows = [a for a in header["arrays"] if a["shape"] == [len(X), 4]]
    assert [entry["name"] for entry in rows] == ["model.training.points"]
    assert content.count(pickle.dumps(1)[:2]) == 0
    assert all(entry["offset"] % 64 == 0 for entry in header["arrays"])


def damaged_arrays(content, random, n):
    """Files in which numbers are wrong and all checksums are right."""
    header, start = header_of(content)
    entries = [entry for entry in header["arrays"] if 0 not in entry["shape"]]
    for _ in range(n):
        entry = entries[random.integers(len(entries))]
        n_bytes = np.dtype(entry["dtype"]).itemsize * int(np.prod(entry["shape"]))
        changed = bytearray(content)
        at = start + entry["offset"]
        for place in random.integers(n_bytes, size=random.integers(1, 4)):
            changed[at + place] = random.integers(256)
        digest = hashlib.sha256(changed[at : at + n_bytes]).hexdigest()
        other = json.loads(json.dumps(header))
        for twin in other["arrays"]:
            if twin["name"] == entry["name"]:
                twin["sha256"] = digest
        yield sealed(bytes(changed), other)


def nodes_of(tree, path=()):
    """Every place of a tree that holds a plain value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from nodes_of(value, (*path, key))
    elif isinstance(tree, list):
        for key, value in enumerate(tree):
            yield from nodes_of(value, (*path, key))
    else:
        yield path


def damaged_headers(content, random, n):
    """Files whose header says something else, with all checksums right."""
    header, _ = header_of(content)
    places = list(nodes_of(header))
    others = [None, True, 0, -1, 1, 3, 2**31, 2**63, 2**70, 0.5, -1e300, "", "<f8",
              "<f4", ">f4", "|O", "Space", "model.training.points", [], {}]  # fmt: skip
    for _ in range(n):
        other = json.loads(json.dumps(header))
        place = places[random.integers(len(places))]
        inner = other
        for key in place[:-1]:
            inner = inner[key]
        if random.random() < 0.2:
            del inner[place[-1]]
        else:
            inner[place[-1]] = others[random.integers(len(others))]
        yield sealed(content, other)


CRAFTED = """
import os, pickle, sys, warnings
import numpy as np
from knngraph import SavedModelError
from knngraph.index.engines import ENGINES, VARIABLE
from knngraph.index.hnswlib_graph import has_hnswlib
from knngraph.serving.predictor import _from_bytes
warnings.simplefilter("ignore", RuntimeWarning)
files, X = pickle.load(open(sys.argv[1], "rb"))
refused = 0
for number, content in enumerate(files):
    if has_hnswlib():  # both engines in turn
        os.environ[VARIABLE] = ENGINES[number // 2 % 2]
    try:
        predictor = _from_bytes(content)
    except SavedModelError:
        refused += 1
        continue
    for rows in (X, X[:1]):
        try:
            predictor.predict(rows), predictor.predict_proba(rows)
            predictor.answer(rows)
        except ValueError:
            pass  # rows and model do not go together
print(len(files), refused)
"""


@pytest.mark.parametrize("kind", ["small", "with_trees"])
@pytest.mark.parametrize("n", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_crafted_files_crash_nothing(n, kind, request, tmp_path, tried):
    # Checksums find damage, not intent: whatever such a file says, nothing is run
    # or read that is not there, and every answer ends.
    content, X, _ = request.getfixturevalue(kind)
    random = np.random.default_rng(2)
    files = [
        *damaged_arrays(content, random, n),
        *damaged_headers(content, random, n),
    ]
    (tmp_path / "files").write_bytes(pickle.dumps((files, X)))
    done = subprocess.run(
        [sys.executable, "-c", CRAFTED, str(tmp_path / "files")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded, refused = map(int, done.stdout.split())
    assert loaded == len(files) > 1.8 * n
    tried["predictor files crafted with right checksums: no crash"] += loaded
    assert refused > (1.0 if kind == "small" else 0.7) * n


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("right", lambda trees: trees["inner"][-1], "a child is wild"),  # a circle
        ("right", lambda trees: (trees["inner"][0], 0), "a child is wild"),
        ("right", lambda trees: (trees["inner"][0], 2**30), "a child is wild"),
        ("right", lambda trees: (trees["leaves"][0], -1), "a leaf is wild"),
        ("right", lambda trees: (trees["leaves"][0], 2**30), "a leaf is wild"),
        ("feature", lambda trees: (trees["inner"][0], 40), "a column is wild"),
        ("feature", lambda trees: (trees["inner"][0], -2), "a column is wild"),
        # A tree without a leaf at its end would go on into the next array.
        ("feature", lambda trees: (trees["leaves"][-1], 0), "a child is wild"),
        ("roots", lambda trees: (0, -1), "a root is wild"),
        ("roots", lambda trees: (0, 2**30), "a root is wild"),
        ("scale", lambda trees: (0, 0.0), "a scale of its trees is wild"),
    ],
)
def test_trees_that_lead_out_of_their_arrays_are_refused(
    with_trees, name, change, problem
):
    content, _, _ = with_trees
    header, start = header_of(content)
    arrays = {}
    for entry in header["arrays"]:
        inside, _, field = entry["name"].rpartition(".")
        if inside.endswith("trees"):
            n_bytes = np.dtype(entry["dtype"]).itemsize * int(np.prod(entry["shape"]))
            at = start + entry["offset"]
            numbers = np.frombuffer(content[at : at + n_bytes], entry["dtype"]).copy()
            arrays[field] = entry, numbers
    feature = arrays["feature"][1]
    trees = {
        "inner": np.flatnonzero(feature >= 0),
        "leaves": np.flatnonzero(feature < 0),
    }
    changed = change(trees)
    place, value = changed if isinstance(changed, tuple) else (changed, changed)
    entry, numbers = arrays[name]
    numbers[place] = value
    entry["sha256"] = hashlib.sha256(numbers.tobytes()).hexdigest()
    at = start + entry["offset"]
    content = content[:at] + numbers.tobytes() + content[at + numbers.nbytes :]
    with pytest.raises(SavedModelError, match=problem):
        _from_bytes(sealed(content, header))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("model.training.points", "<f8"), ("model.training.pair_code", "<i4"),
     ("model.stored.codes", "<u8"), ("model.index.labels", "<i8")],
)  # fmt: skip
def test_other_dtypes_are_refused(small, name, dtype):
    content, _, _ = small
    header, _ = header_of(content)
    entry = next(a for a in header["arrays"] if a["name"] == name)
    entry["dtype"] = dtype
    if np.dtype(dtype).itemsize == 8 and entry["shape"][1:]:
        entry["shape"][1] //= 2
    elif np.dtype(dtype).itemsize == 4:
        entry["shape"][0] *= 2
    with pytest.raises(SavedModelError, match="does not hold together"):
        _from_bytes(sealed(content, header))
    entry["dtype"] = ">" + dtype[1:]
    with pytest.raises(SavedModelError, match="only little-endian"):
        _from_bytes(sealed(content, header))


def test_a_model_of_another_release_is_refused(small):
    content, _, _ = small
    header, _ = header_of(content)
    fields = header["meaning"]["fields"]["options"]["fields"]
    fields["temperature"] = {"value": 1.0}
    with pytest.raises(SavedModelError, match=r"temperature.*another release"):
        _from_bytes(sealed(content, header))
    del fields["temperature"], fields["ef"]
    with pytest.raises(SavedModelError, match=r"ef.*another release"):
        _from_bytes(sealed(content, header))


def test_labels_that_need_code_are_refused(tmp_path):
    class Label(str):
        pass

    classifier, _ = fitted("lookup")
    classifier.classes_ = np.array([1, Label("b"), None], dtype=object)
    with pytest.raises(
        SavedModelError, match=r"classes holds 1, a int.*knngraph\.save"
    ):
        classifier.to_predictor().save(tmp_path / "model")
    classifier.classes_ = np.array(["a", "b\0", "c"], dtype=object)
    with pytest.raises(SavedModelError, match="classes holds"):
        classifier.to_predictor().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="links need a right elsewhere")
def test_a_file_is_found_where_its_link_leads(tmp_path):
    classifier, queries = fitted("lookup")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "model")
    classifier.to_predictor().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    loaded = load_predictor(tmp_path / "there" / "model")
    assert_array_equal(loaded.predict(queries), classifier.predict(queries))
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "link").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("character", ["m", "é", "模"])
def test_a_name_may_be_as_long_as_files_can_have(character, tmp_path):
    from knngraph.serving.container import write

    path = tmp_path / (character * (255 // len(character.encode())))
    try:
        path.touch()
    except OSError:
        pytest.skip("a name like this is too long here")
    write(path, [b"whole"])
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="no pipes with names elsewhere")
def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    from knngraph.serving.container import write

    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(path, [b"some", b"thing"])
    assert path.is_fifo()
    assert os.read(reader, 100) == b"something"
    os.close(reader)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(small, tmp_path):
    from knngraph.serving.container import write

    path = tmp_path / "model"
    path.write_bytes(small[0])
    with pytest.raises(TypeError):
        write(path, [b"something", None])
    assert path.read_bytes() == small[0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(os.name != "posix", reason="a mapped file is locked elsewhere")
def test_a_mapped_file_may_be_replaced_and_deleted(tmp_path):
    first, queries = fitted("adaptive")
    path = tmp_path / "model"
    first.to_predictor().save(path)
    predictor = load_predictor(path)
    expected = first.predict_proba(queries)
    fitted("adaptive", query_nugget=3.0)[0].to_predictor().save(path)
    assert_array_equal(predictor.predict_proba(queries), expected)
    assert (load_predictor(path).predict_proba(queries) != expected).any()
    path.unlink()
    assert_array_equal(predictor.predict_proba(queries), expected)


def test_a_predictor_has_no_shorter_way_in():
    with pytest.raises(TypeError):
        Predictor()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("inference", INFERENCES)
def test_an_estimator_comes_back_whole(inference, tmp_path):
    classifier, queries = fitted(inference, "trees")
    pipeline = make_pipeline(StandardScaler(), KNNGraphClassifier(ef=4)).fit(
        queries, queries[:, 0] > 5
    )
    for estimator in (classifier, pipeline):
        knngraph.save(estimator, tmp_path / "estimator")
        loaded = knngraph.load(tmp_path / "estimator")
        shares = estimator.predict_proba(queries)
        assert_array_equal(loaded.predict_proba(queries), shares, strict=True)


def test_saving_into_no_folder_names_it(small, tmp_path):
    predictor = _from_bytes(small[0])
    with pytest.raises(FileNotFoundError, match=r"folder to save into: .*nowhere'$"):
        predictor.save(tmp_path / "nowhere" / "model")
