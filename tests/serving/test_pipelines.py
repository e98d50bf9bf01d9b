"""A predictor of a pipeline says what the pipeline says."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

import knngraph
from knngraph import (
    KNNGraphClassifier,
    Predictor,
    SavedModelError,
    load_predictor,
    to_predictor,
)
from knngraph.prepared.steps import Preparation, Step
from tests.commands.pages import Page


def rows(dtype=np.float64):
    """Iris with missing values, and queries with some in other places."""
    X, y = load_iris(return_X_y=True)
    X = 1000.0 + 0.1 * X
    random = np.random.default_rng(0)
    queries = X[::2] + random.normal(scale=0.02, size=X[::2].shape)
    for given, share in ((X, 0.05), (queries, 0.1)):
        given[random.random(X.shape)[: len(given)] < share] = np.nan
    queries[3], queries[5] = np.nan, 5000.0
    return X.astype(dtype), y, queries.astype(dtype)


def classifier(inference="lookup", **settings):
    settings = {"metric": "euclidean", "ef": 64, "random_state": 0} | settings
    return KNNGraphClassifier(inference=inference, **settings)


def columns():
    """Parts that share a column, one after another with flags and one dropped."""
    filled = make_pipeline(SimpleImputer(add_indicator=True), RobustScaler())
    return ColumnTransformer(
        [
            ("filled", filled, [3, 0, 1]),
            ("scaled", make_pipeline(SimpleImputer(), MaxAbsScaler()), [1]),
            ("as_it_is", "passthrough", slice(2, 3)),
            ("out", "drop", [0]),
        ]
    )


STEPS = {
    "standard": [SimpleImputer(), StandardScaler()],
    "standard first": [StandardScaler(), SimpleImputer(strategy="median")],
    "halves": [
        SimpleImputer(strategy="constant", fill_value=1000.2),
        StandardScaler(with_mean=False),
        "passthrough",
        StandardScaler(with_std=False),
    ],
    "flags": [SimpleImputer(strategy="most_frequent", add_indicator=True)],
    "limits": [SimpleImputer(), MinMaxScaler((-1, 2), clip=True)],
    "min max": [SimpleImputer(), MinMaxScaler((-1, 2))],
    "robust": [make_pipeline(SimpleImputer(), RobustScaler()), MaxAbsScaler()],
    "columns": [columns(), SimpleImputer(), StandardScaler()],
}


def check_same(pipeline, predictor, queries):
    expected, likely = pipeline.predict(queries), pipeline.predict_proba(queries)
    assert_array_equal(predictor.predict(queries), expected, strict=True)
    assert_array_equal(predictor.predict_proba(queries), likely, strict=True)
    assert [predictor(row) for row in queries] == expected.tolist()
    one_by_one = [predictor.predict_proba(row[None])[0] for row in queries[:9]]
    assert_array_equal(one_by_one, likely[:9])


@pytest.mark.parametrize("dtypes", [(8, 8), (8, 4), (4, 4), (4, 8)], ids=str)
@pytest.mark.parametrize("steps", STEPS)
def test_the_answers_of_the_pipeline_to_the_bit(steps, dtypes, tmp_path):
    X, y, _ = rows(f"f{dtypes[0]}")
    queries = rows(f"f{dtypes[1]}")[2]
    inference = "lookup" if dtypes[0] == dtypes[1] else "adaptive"
    pipeline = make_pipeline(*STEPS[steps], classifier(inference)).fit(X, y)
    predictor = to_predictor(pipeline)
    check_same(pipeline, predictor, queries)
    predictor.save(tmp_path / "model")
    check_same(pipeline, load_predictor(tmp_path / "model"), queries)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
def test_how_sure_the_pipeline_is(steps):
    X, y, queries = rows()
    pipeline = make_pipeline(*STEPS[steps], classifier("cascade")).fit(X, y)
    predictor, behind = to_predictor(pipeline), pipeline[:-1].transform(queries)
    expected = pipeline[-1].answer(behind, 0.02, per_class=True)
    found = predictor.answer(queries, 0.02, per_class=True)
    for name, value in vars(expected).items():
        assert_array_equal(getattr(found, name), value, err_msg=name)
    novel = predictor.is_novel(queries, 0.05)
    assert_array_equal(novel, pipeline[-1].is_novel(behind, 0.05))
    if steps != "limits":  # which bring what is far to the edge
        assert novel[5]
    for said, label in zip(predictor.explain(queries[:6]), found.labels):
        assert said.predicted == label
        Page(said.to_html()).check_harmless()


@pytest.mark.parametrize("metric", ["cosine", "learned", "trees"])
def test_before_every_map(metric, tmp_path):
    X, y, queries = rows()
    model = classifier("cascade", metric=metric, metric_params=None)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), model)
    pipeline.fit(X, y)
    to_predictor(pipeline).save(tmp_path / "model")
    check_same(pipeline, load_predictor(tmp_path / "model"), queries)


def test_missing_values_that_the_classifier_takes():
    X, y, queries = rows()
    pipeline = make_pipeline(StandardScaler(), classifier(metric="trees")).fit(X, y)
    check_same(pipeline, to_predictor(pipeline), queries)


@pytest.mark.parametrize("whiten", [False, True])
def test_components_within_rounding(whiten, tmp_path):
    X, y, queries = rows()
    queries = np.delete(queries, 5, axis=0)
    model = classifier("adaptive")
    pipeline = make_pipeline(SimpleImputer(), PCA(3, whiten=whiten), model).fit(X, y)
    predictor = to_predictor(pipeline)
    assert_array_equal(predictor.predict(queries), pipeline.predict(queries))
    likely = predictor.predict_proba(queries)
    assert_allclose(likely, pipeline.predict_proba(queries), atol=1e-4)
    one_by_one = [predictor.predict_proba(row[None])[0] for row in queries]
    assert_array_equal(one_by_one, likely)
    predictor.save(tmp_path / "model")
    loaded = load_predictor(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(queries), likely)


def test_a_table_by_the_names_of_its_columns():
    X, y = load_iris(return_X_y=True, as_frame=True)
    parts = ColumnTransformer(
        [("long", StandardScaler(), ["petal length (cm)", "sepal length (cm)"])],
        remainder=MinMaxScaler(),
    )
    pipeline = make_pipeline(parts, classifier()).fit(X, y)
    predictor = to_predictor(pipeline)
    assert_array_equal(predictor.predict_proba(X), pipeline.predict_proba(X))
    assert_array_equal(predictor.feature_names_in_, X.columns)
    with pytest.raises(ValueError, match=r"Column 0 of X has to be 'sepal length"):
        predictor.predict(X[X.columns[::-1]])


def test_a_search_over_pipelines_and_a_condensed_one():
    X, y, queries = rows()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), classifier(ef=16))
    grid = {"standardscaler__with_std": [True, False]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    predictor = to_predictor(search)
    check_same(search, predictor, queries)
    small = knngraph.condense(predictor, tolerance=0.05)
    again = to_predictor(small)
    assert_array_equal(small.predict(queries), again.predict(queries))
    assert (again.predict(queries) == search.predict(queries)).mean() > 0.8


def test_rows_that_the_pipeline_refuses():
    X, y, _ = rows()
    parts = ColumnTransformer([("a", SimpleImputer(), [0])], remainder="passthrough")
    whole = np.nan_to_num(X, nan=1000.0)
    whole[:9, 0] = np.nan
    predictor = to_predictor(make_pipeline(parts, classifier()).fit(whole, y))
    row = whole[20].copy()
    row[0] = np.nan
    predictor(row)
    row[2] = np.nan
    for given in (row, row.astype(np.float32)):
        with pytest.raises(ValueError, match="nan in column 2"):
            predictor(given)
    row[2] = np.inf
    with pytest.raises(ValueError, match="inf in column 2"):
        predictor(row.astype(np.float32))
    tiny = make_pipeline(StandardScaler(), classifier()).fit(1e-30 * whole[:, 1:], y)
    with pytest.raises(ValueError, match="leave the range of float32"):
        to_predictor(tiny)(np.full(3, 3e38, dtype=np.float32))


class Odd(StandardScaler):
    """May do something else."""


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("norm", Normalizer())], "Step 'norm' of the pipeline is Normalizer.*save"),
        ([("f", FunctionTransformer(np.log1p))], "Step 'f' .* FunctionTransformer"),
        ([("a", Pipeline([("b", Odd())]))], r"Step 'a\.b' .* Odd"),
        ([("fill", SimpleImputer(missing_values=-1))], r"'fill' .*missing_values=-1"),
        (
            [("c", ColumnTransformer([("p", PCA(1), [0, 1])]))],
            r"Part 'c\.p' .* PCA within a ColumnTransformer",
        ),
    ],
)
def test_steps_that_are_not_understood(steps, message):
    X, y = load_iris(return_X_y=True)
    pipeline = Pipeline([*steps, ("model", classifier())]).fit(X, y)
    with pytest.raises(TypeError, match=message):
        to_predictor(pipeline)


def test_models_that_are_none():
    X, y = load_iris(return_X_y=True)
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(2)).fit(X, y)
    with pytest.raises(TypeError, match="ends in RandomForestClassifier"):
        to_predictor(forest)
    with pytest.raises(NotFittedError):
        to_predictor(make_pipeline(StandardScaler(), classifier()))


def test_without_steps_it_is_the_predictor_of_the_classifier():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = classifier().fit(X, y)
    plain = pd.DataFrame(X)
    for given in (model, Pipeline([("model", model)])):
        predictor = to_predictor(given)
        assert_array_equal(predictor.predict(plain), model.predict(plain))
        assert predictor._state.model.space.prepared is None


def test_a_description_is_in_the_file(tmp_path):
    X, y, _ = rows()
    model = make_pipeline(SimpleImputer(), StandardScaler(), classifier("cascade"))
    model.fit(X, y)
    texts = {"about": "flowers", "version": "7", "made": "2026-03-01"}
    for name in ("one", "two"):
        to_predictor(model, **texts).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = load_predictor(tmp_path / "one").description
    left_out = model[-1].score(None, y)
    assert found.as_dict() == {
        "model": "SimpleImputer, StandardScaler, KNNGraphClassifier",
        "metric": "euclidean",
        "n_rows": 150,
        "class_counts": [50, 50, 50],
        "accuracy": pytest.approx(left_out),
        "knngraph": knngraph.__version__,
        **texts,
    }
    assert "flowers, 7, 2026-03-01, SimpleImputer" in str(found)
    assert f"accuracy {left_out:.3f} on left-out rows" in str(found)
    with pytest.raises(TypeError, match="made must be a text, got 2026: write"):
        to_predictor(model, made=2026)
    small = knngraph.condense(to_predictor(model[-1].set_params(inference="lookup")))
    described = small.to_predictor(about="fewer").description
    assert described.about == "fewer"
    assert described.n_rows == 150


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step("select", np.array([0, 1, 9])), "a code is wild"),
        (Step("flag", np.array([-1])), "a code is wild"),
        (Step("select", np.array([], dtype=np.intp)), "a code is wild"),
        (Step("divide", np.ones(3)), r"values to divide has shape \(3,\)"),
        (Step("add", np.array([0.0, np.nan, 0.0, 0.0])), "no number"),
        (Step("fill", np.array(["a"] * 4)), "values to fill is <U1"),
        (Step("project", np.ones((4, 4), dtype=np.float32)), "a matrix is wild"),
        (Step("project", np.ones((3, 4))), "a matrix has shape"),
        (Step("root", np.ones(4)), "a step is unknown"),
        ("divide", "a step is unknown"),
    ],
    ids=str,
)
def test_files_with_steps_that_lead_out_of_arrays_are_refused(step, problem):
    X, y = load_iris(return_X_y=True)
    state = classifier().fit(X, y).to_predictor()._state
    space = replace(state.model.space, prepared=Preparation((step,)))
    crafted = Predictor.__new__(Predictor)
    changed = replace(state, model=replace(state.model, space=space))
    object.__setattr__(crafted, "_state", changed)
    with pytest.raises(SavedModelError, match=problem):
        pickle.loads(pickle.dumps(crafted))


@pytest.mark.parametrize("inference", ["adaptive", "cascade", "lookup"])
def test_explanations_of_a_predictor(inference, tmp_path):
    X, y, queries = rows()
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), classifier(inference))
    pipeline.fit(X, y)
    to_predictor(pipeline).save(tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    found = predictor.explain(queries[:9])
    expected = pipeline[-1].explain(pipeline[:-1].transform(queries[:9]))
    assert_array_equal([e.predicted for e in found], pipeline.predict(queries[:9]))
    for one, other in zip(found, expected):
        assert one.row_id == other.row
        assert one.distance == other.distance
        assert one.novelty_pvalue == other.novelty_pvalue
        assert one.label_set == other.label_set
        assert_array_equal(one.probabilities, other.probabilities)
        if one.way == "adaptive":
            assert [(n.id, n.label, n.weight) for n in one.voters] == [
                (n.row, n.label, n.weight) for n in other.voters
            ]
        # Values are those of the table, not what the scaler makes of them.
        given = X[one.row_id]
        there = ~np.isnan(given)
        assert_allclose(one.row_values[there], given[there], rtol=1e-6)
        assert "<h1>" in one.to_html()


def few_columns():
    """Two of four columns, in another order, one of them with a flag."""
    filled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return ColumnTransformer(
        [("filled", filled, [3]), ("as_it_is", "passthrough", [0])]
    )


@pytest.mark.parametrize(
    ("steps", "used", "flagged"),
    [
        (STEPS["flags"], [0, 1, 2, 3], [0, 1, 2, 3]),
        (STEPS["columns"], [0, 1, 2, 3], [0, 1, 3]),
        ([few_columns(), SimpleImputer(), RobustScaler()], [0, 3], [3]),
        ([SimpleImputer(), PCA(2)], None, []),
    ],
    ids=["flags", "columns", "few", "pca"],
)
def test_explanations_in_the_columns_of_the_table(steps, used, flagged):
    X, y, queries = rows()
    names = np.array(["length", "width", "petal", "leaf"])
    frame, asked = pd.DataFrame(X, columns=names), pd.DataFrame(queries, columns=names)
    pipeline = make_pipeline(*steps, classifier("adaptive")).fit(frame, y)
    found = to_predictor(pipeline).explain(asked[:9])
    inner = pipeline[-1].explain(pipeline[:-1].transform(asked[:9]))
    for one, other, query in zip(found, inner, queries):
        if used is None:
            assert one.columns == ("x0", "x1")
            assert_allclose(one.values, other.values, atol=1e-9)
            continue
        assert one.columns == tuple(names[used])
        assert_array_equal(one.values, query[used])
        shown = [(one.row_id, one.row_values, one.shares)]
        shown += [(n.id, n.values, n.shares) for n in (*one.voters, *one.others)]
        for row, values, shares in shown:
            given = X[row][used]
            there = ~np.isnan(given)
            assert_allclose(values[there], given[there], rtol=1e-6)
            # What a flag says was missing is not what the imputer made of it.
            assert_array_equal(
                np.isnan(values), ~there & np.isin(used, flagged), strict=True
            )
            assert shares.sum() == pytest.approx(1.0)
        if steps is STEPS["flags"]:
            n_flags = len(other.shares) - 4
            summed = other.shares[:4].copy()
            summed[pipeline[0].indicator_.features_] += other.shares[-n_flags:]
            assert_allclose(one.shares, summed)
        assert all(name in one.to_html() for name in names[used])
