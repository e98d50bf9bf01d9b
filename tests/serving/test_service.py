"""The example service: its answers, what it refuses, and a new file under load."""

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")

from benchmarks.service import send, served, single
from knngraph import KNNGraphClassifier, to_predictor

ROWS, LABELS = load_iris(return_X_y=True)
MARKUP = "<script>alert(1)</script>"


def model(version, n=150):
    """A predictor of a pipeline on a table with names and labels as text."""
    frame = load_iris(as_frame=True).data
    frame.columns = [MARKUP, *frame.columns[1:]]
    labels = np.array(["setosa", "versicolor", f"{MARKUP} ü"])[LABELS]
    classifier = KNNGraphClassifier(inference="cascade", ef=64, random_state=0)
    pipeline = make_pipeline(SimpleImputer(), classifier)
    pipeline.fit(frame[:n], labels[:n])
    return to_predictor(pipeline, version=version, about="flowers")


def asked(port, method, path, body=None):
    """Status and body of an answer; a body that is no text is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, content = asyncio.run(single(port, method, path, sent))
    return status, content.decode()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("service") / "model"
    predictor = model("one")
    predictor.save(path)
    with served(path, 1) as port:
        yield port, path, predictor


def test_answers(service):
    port, _, predictor = service
    rows = ROWS[::7].tolist()
    status, content = asked(port, "POST", "/answers", {"rows": rows})
    assert status == 200
    found, answers = predictor.answer(rows), json.loads(content)["answers"]
    assert [a["label"] for a in answers] == found.labels.tolist()
    sets = predictor.predict_set(rows, 0.1)
    in_sets = [predictor.classes_[row].tolist() for row in sets]
    assert [a["set"] for a in answers] == in_sets
    likely = [list(a["probabilities"].values()) for a in answers]
    np.testing.assert_array_equal(likely, found.probabilities)
    assert [a["novel"] for a in answers] == predictor.is_novel(rows).tolist()
    named = [dict(zip(predictor.feature_names_in_, row)) for row in rows]
    assert asked(port, "POST", "/answers", {"rows": named}) == (200, content)
    many = {"rows": rows * 10}
    status, content = asked(port, "POST", "/answers", many)
    assert json.loads(content)["answers"] == answers * 10
    status, content = asked(port, "POST", "/answers", {"rows": [[None, 3, 1, 0]]})
    assert status == 200
    assert json.loads(content)["answers"][0]["label"] == "setosa"


def test_the_card_shows_markup_as_text(service):
    port, _, _ = service
    path = f"/card?row={quote(json.dumps(ROWS[149].tolist()))}"
    status, page = asked(port, "GET", path)
    assert status == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ü" in page
    assert "<script" not in page
    assert "Rows behind the answer" in page
    assert "Set at 90%" in page


def test_the_model_and_its_health(service):
    port, _, predictor = service
    status, content = asked(port, "GET", "/model")
    assert status == 200
    about = json.loads(content)
    assert about["classes"] == predictor.classes_.tolist()
    assert about["n_rows"] == 150
    assert asked(port, "GET", "/health") == (200, '{"status":"ok","version":"one"}')


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        ([1], "has to be"),
        ({"rows": []}, "1 to 10000 rows"),
        ({"rows": [[1, 2, 3]]}, "list of 4 numbers"),
        ({"rows": [[1, 2, 3, "a"]]}, "'a' in column 3, which is no number"),
        ({"rows": [[1, 2, 3, True]]}, "no number"),
        ({"rows": [[1, 2, 3, [4]]]}, "no number"),
        ({"rows": [[1, 2, 3, 10**400]]}, "too large"),
        (b'{"rows": [[1, 2, 3, 1e999]]}', "inf in row 0, column 3"),
        ({"rows": [{"length": 1}]}, "other columns than"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_bad_input_is_refused_with_the_reason(service, body, reason):
    port, _, _ = service
    status, content = asked(port, "POST", "/answers", body)
    assert status == 422
    assert reason in json.loads(content)["error"]
    path = f"/card?row={quote(body if isinstance(body, bytes) else json.dumps(body))}"
    if len(path) < 1000:
        assert asked(port, "GET", path)[0] == 422


def test_a_damaged_file_leaves_the_old_model(tmp_path):
    path = tmp_path / "model"
    model("one").save(path)
    whole = path.read_bytes()
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
    try:
        import service
    finally:
        sys.path.pop(0)
    file = service.LoadedFile(path)
    for content, problem in ((whole[:1000], "cut off"), (whole, "")):
        other = path.with_name("other")
        other.write_bytes(content)
        other.replace(path)
        stamp = file._stamp()
        while file.seen != stamp:
            assert file.current().description.version == "one"
        assert problem in file.problem
        assert bool(file.problem) == bool(problem)


@pytest.mark.parametrize(
    ("seconds", "n_changes"),
    # Nothing but time finds what fails once in a thousand requests.
    [(2.0, 1), pytest.param(15.0, 5, marks=pytest.mark.slow)],
)
def test_new_files_under_load(seconds, n_changes, tmp_path):
    path, models = tmp_path / "model", [model("one"), model("two", 120)]
    expected = list(zip(*(m.predict(ROWS).tolist() for m in models)))
    models[0].save(path)
    changes = [partial(models[1 - i % 2].save, path) for i in range(n_changes)]
    with served(path, 2) as port:
        load = asyncio.run(send(port, ROWS, expected, seconds, changes))
    assert load.failed == []
    assert len(load.milliseconds) > 10 * seconds
    assert load.versions == [{"one"}, {"two"}]
