"""Missing values: medians, indicators, and what comes of them after the fit."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

import knngraph
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, KNNGraphTransformer
from knngraph.missing import fit_missing
from knngraph.space import fit_space

INFERENCES = ("lookup", "adaptive", "cascade")
METRICS = ("auto", "trees")
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


def with_gaps(X, share=0.2, columns=(0, 2, 3), seed=0):
    """The same rows without some cells of some columns."""
    X = np.array(X, dtype=X.dtype if X.dtype.kind == "f" else np.float64)
    gone = np.random.default_rng(seed).random(X.shape) < share
    gone[:, [j for j in range(X.shape[1]) if j not in columns]] = False
    X[gone] = np.nan
    return X


@pytest.fixture(scope="module")
def gaps(blobs):
    return with_gaps(blobs[0]), blobs[1]


def lower_median(values):
    return np.sort(values)[(len(values) - 1) // 2]


def by_hand(X, queries):
    """Both with medians in the place of NaN, and with indicators."""
    filled, indicators = [], []
    for column, asked in zip(X.T, queries.T):
        present = column[~np.isnan(column)]
        median = lower_median(present)
        both = np.concatenate([column, asked])
        filled.append(np.where(np.isnan(both), median, both))
        if np.isnan(column).any():
            spread = np.sqrt(np.mean((present - median) ** 2))
            indicators.append(np.where(np.isnan(both), spread, 0.0))
    both = np.column_stack([*filled, *indicators])
    return both[: len(X)], both[len(X) :]


@pytest.mark.parametrize("metric", ["euclidean", "auto"])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_answers_are_those_to_rows_that_are_filled_by_hand(metric, offset, gaps):
    X, y = gaps
    rows, queries = X[:180] + offset, X[180:] + offset
    X_by_hand, queries_by_hand = by_hand(rows, queries)
    plain = KNNGraphClassifier(metric=metric, random_state=0).fit(X_by_hand, y[:180])
    model = KNNGraphClassifier(metric="auto", random_state=0)
    model.fit(rows, y[:180])
    assert model.metric_ == plain.metric_
    assert model.precision_ == plain.precision_
    distances, neighbors = model.kneighbors(queries, 5)
    expected, neighbors_by_hand = plain.kneighbors(queries_by_hand, 5)
    assert_array_equal(neighbors, neighbors_by_hand)
    assert_allclose(distances, expected, rtol=1e-5)
    for inference in INFERENCES:
        answers = model.set_params(inference=inference).predict_proba(queries)
        plain.set_params(inference=inference)
        assert_allclose(answers, plain.predict_proba(queries_by_hand), atol=1e-5)


def test_a_map_is_learned_on_columns_and_indicators():
    # The class is whether a value is missing, among columns of noise.
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 6))
    y = (random.random(300) < 0.5).astype(int)
    X[y == 1, 2] = np.nan
    model = KNNGraphClassifier(random_state=0).fit(X[:200], y[:200])
    assert model.metric_ == "learned"
    assert model.effective_metric_params_["VI"].shape == (7, 7)
    assert model.score(X[200:], y[200:]) == 1.0


def test_a_missing_value_is_as_far_as_present_ones_are_from_each_other():
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(7.0, 3.0, 4000), random.normal(size=4000)])
    X[::2, 0] = np.nan
    space = fit_space(X, "euclidean", allow_missing=True)
    rows = space.map_rows(X)[:, [0, 2]].astype(np.float64)
    absent, present = rows[::2], rows[1::2]
    apart = ((present[:1000] - present[1000:]) ** 2).sum(axis=1).mean()
    across = ((present - absent) ** 2).sum(axis=1).mean()
    assert_allclose(across, apart, rtol=0.05)
    assert len(np.unique(absent, axis=0)) == 1


def test_a_column_of_one_value_gets_an_indicator_of_the_size_of_others():
    nan = np.nan
    X = np.array([[3.0, 10.0, 0.0], [nan, 20.0, 0.0], [3.0, 60.0, 1.0]])
    missing, _ = fit_missing(X)
    spreads = np.sort([np.sqrt((100.0 + 1600.0) / 3.0), np.sqrt(1.0 / 3.0)])
    assert_allclose(missing.sizes, spreads[:1])
    assert fit_missing(np.array([[3.0], [nan], [3.0]]))[0].sizes.tolist() == [1.0]
    model = KNNGraphClassifier(inference="adaptive", random_state=0)
    model.fit([[3.0], [nan]] * 5, [0, 1] * 5)
    assert model.predict([[nan], [3.0]]).tolist() == [1, 0]


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_units(scale, dtype, gaps):
    if dtype is np.float32 and abs(np.log10(scale)) > 30:
        return
    X, y = gaps
    model = KNNGraphClassifier(random_state=0).fit((X * scale).astype(dtype), y)
    assert model.score((X * scale).astype(dtype), y) > 0.9


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_stands_for_copies_to_the_last_bit(inference, metric, gaps):
    X, y = gaps
    weights = 1 + np.arange(len(y)) % 3
    settings = {"inference": inference, "metric": metric, "random_state": 0}
    one = KNNGraphClassifier(**settings).fit(X, y, sample_weight=weights)
    other = KNNGraphClassifier(**settings)
    other.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    space, expected = one._model.space, other._model.space
    assert_array_equal(space.missing.medians, expected.missing.medians)
    assert_array_equal(space.missing.sizes, expected.missing.sizes)
    assert_array_equal(space.center, expected.center)
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_the_order_of_the_rows_is_of_no_matter(gaps):
    X, y = gaps
    order = np.random.default_rng(1).permutation(len(y))
    one, other = fit_missing(X), fit_missing(X[order])
    assert_array_equal(one[0].sizes, other[0].sizes)
    model = KNNGraphClassifier(inference="cascade", random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    assert_array_equal(model.fit(X[order], y[order]).predict_proba(X), expected)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("at_fit", [True, False], ids=["gaps at fit", "none at fit"])
@pytest.mark.parametrize(
    ("metric", "dtype"),
    [("auto", np.float32), ("auto", np.float64), ("trees", np.float32)],
)
def test_a_batch_of_any_size_gets_the_same_answers(
    inference, at_fit, metric, dtype, blobs
):
    X, y = blobs[0].astype(dtype), blobs[1]
    queries = with_gaps(X, columns=range(5), seed=1)
    model = KNNGraphClassifier(inference=inference, metric=metric, random_state=0)
    model.fit(with_gaps(X) if at_fit else X, y)
    shares = model.predict_proba(queries)
    predictor = model.to_predictor()
    labels = model.predict(queries)
    found = [model.predict_proba(row[None])[0] for row in queries]
    assert_array_equal(found, shares)
    parts = [model.predict_proba(part) for part in np.array_split(queries, 7)]
    assert_array_equal(np.concatenate(parts), shares)
    assert_array_equal(predictor.predict_proba(queries), shares)
    assert [predictor(row) for row in queries] == labels.tolist()
    assert_array_equal(model.predict_proba(queries.astype(np.float64)), shares)


def test_what_is_missing_at_queries_alone_is_the_median(gaps):
    X, y = gaps
    for offset in (0.0, 1e8):
        rows = X + offset
        model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(rows, y)
        missing = model._model.space.missing
        assert missing.columns.tolist() == [0, 2, 3]
        median = lower_median(rows[:, 1])
        assert missing.medians[1] == median
        rows[:, 1] = np.nan
        shares = model.predict_proba(rows)
        rows[:, 1] = median
        assert_array_equal(model.predict_proba(rows), shares)


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("at_fit", [True, False], ids=["gaps at fit", "none at fit"])
def test_a_row_without_any_value_is_answered(inference, metric, at_fit, blobs):
    X = with_gaps(blobs[0], columns=range(5)) if at_fit else blobs[0]
    model = KNNGraphClassifier(inference=inference, metric=metric, random_state=0)
    model.fit(X, blobs[1])
    nothing = np.full((2, 5), np.nan)
    shares = model.predict_proba(nothing)
    assert_allclose(shares.sum(axis=1), 1.0)
    assert model.to_predictor()(nothing[0]) == model.predict(nothing)[0]
    model.partial_fit(nothing, blobs[1][:2])
    assert np.isfinite(model.predict_proba(nothing)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_copies_share_a_node(metric):
    nan = np.nan
    negative = np.copysign(nan, -1.0)
    X = np.array([[1.0, nan], [1.0, negative], [2.0, nan], [nan, 3.0], [1.0, 3.0]])
    model = KNNGraphClassifier(metric=metric, random_state=0)
    model.fit(X, [0, 0, 1, 1, 0])
    assert model._model.training.node_of_row[0] == model._model.training.node_of_row[1]
    assert model._model.training.n_nodes == 4
    model.partial_fit([[nan, 3.0], [1.0, negative]], [1, 0])
    assert model._model.training.n_nodes == 4
    assert model.forget([0, 1, 6])._model.training.n_nodes == 3


@pytest.mark.parametrize("metric", ["euclidean", "auto"])
def test_rows_without_gaps_are_mapped_as_ever(metric, blobs):
    for X in (blobs[0], blobs[0].astype(np.float32), np.round(blobs[0]) + 2**40):
        for precision in ("single", "double"):
            space = fit_space(X, "euclidean", precision, allow_missing=True)
            expected = fit_space(X, "euclidean", precision)
            assert space.n_mapped(5) == 5
            assert space.missing.filled(X) is X
            assert space.map_rows(X).tobytes() == expected.map_rows(X).tobytes()


@pytest.mark.parametrize("inference", INFERENCES)
def test_sparse_rows_are_answered_as_dense_ones(inference):
    random = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = random.poisson(0.4, size=(200, 6)) + 2.0 * (y[:, None] == np.arange(6) % 2)
    # No two rows are equally far from a third: of such ones any may be a candidate.
    X *= random.uniform(0.5, 1.5, X.shape)
    X[random.random(X.shape) < 0.1] = np.nan
    X[:, 5] = np.where(np.isnan(X[:, 5]), 1.0, X[:, 5])
    weights = 1.0 + np.arange(200) % 2
    one = KNNGraphClassifier(inference=inference, ef=200, random_state=0)
    one.fit(sparse.csc_array(X), y, sample_weight=weights)
    other = KNNGraphClassifier(inference=inference, ef=200, random_state=0)
    other.fit(X, y, sample_weight=weights)
    missing, expected = (m._model.space.missing for m in (one, other))
    assert_array_equal(missing.columns, expected.columns)
    assert_array_equal(missing.medians, expected.medians)
    assert_array_equal(missing.sizes, expected.sizes)
    queries = np.where(np.arange(6) == 5, np.nan, X)
    shares = one.predict_proba(queries)
    assert_array_equal(one.predict_proba(sparse.csr_array(queries)), shares)
    predictor = one.to_predictor()
    assert_array_equal(predictor.predict_proba(sparse.csr_array(queries)), shares)
    assert_allclose(shares, other.predict_proba(queries), atol=1e-5)


CONTAINERS = {
    "float32": lambda X: X.astype(np.float32),
    "objects with None": lambda X: np.where(np.isnan(X), None, X),
    "objects with NA": lambda X: np.where(np.isnan(X), pd.NA, X),
    "lists with None": lambda X: np.where(np.isnan(X), None, X).tolist(),
    "pandas": pd.DataFrame,
    "pandas, nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "pandas, nullable integers": lambda X: pd.DataFrame(X).astype("Int64"),
    "pandas, objects with None": lambda X: pd.DataFrame(
        np.where(np.isnan(X), None, X.astype(object))
    ),
    "pandas, objects with NA": lambda X: pd.DataFrame(
        np.where(np.isnan(X), pd.NA, X.astype(object))
    ),
    "polars": lambda X: pl.DataFrame(X, nan_to_null=True),
    "polars integers": lambda X: pl.DataFrame(X, nan_to_null=True).cast(pl.Int64),
    "CSR": sparse.csr_array,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(container, blobs):
    X, y = with_gaps(np.round(blobs[0] * 8.0)), blobs[1]
    expected = KNNGraphClassifier(ef=240, random_state=0).fit(X, y).predict_proba(X)
    given = CONTAINERS[container](X)
    model = KNNGraphClassifier(ef=240, random_state=0).fit(given, y)
    assert_allclose(model.predict_proba(given), expected, atol=1e-3)
    predictor = model.to_predictor()
    assert_array_equal(predictor.predict_proba(given), model.predict_proba(given))


@pytest.mark.parametrize("metric", METRICS)
def test_what_comes_of_a_model(metric, gaps, tmp_path):
    X, y = gaps
    model = KNNGraphClassifier(inference="cascade", metric=metric, random_state=0)
    model.fit(X, y)
    shares = model.predict_proba(X)
    assert model.n_features_in_ == 5
    knngraph.save(model, tmp_path / "estimator")
    model.to_predictor().save(tmp_path / "predictor")
    for other in (
        pickle.loads(pickle.dumps(model)),
        knngraph.load(tmp_path / "estimator"),
        knngraph.load_predictor(tmp_path / "predictor"),
        knngraph.load_predictor(tmp_path / "predictor", mmap=False),
    ):
        assert_array_equal(other.predict_proba(X), shares)
    small = model.set_params(inference="lookup").condense(0.05)
    assert small.score(X, y) > 0.9
    assert_array_equal(small.to_predictor().predict(X), small.predict(X))
    small.to_predictor().save(tmp_path / "small")
    assert_array_equal(
        knngraph.load_predictor(tmp_path / "small").predict(X), small.predict(X)
    )
    distances, rows = model.kneighbors(X, 1)
    if metric == "auto":  # trees place a training row by those that have not seen it
        assert_array_equal(distances, 0.0)
        assert_array_equal(np.isnan(X[rows[:, 0]]), np.isnan(X))
    assert model.kneighbors_graph(X[:3]).shape == (3, 240)
    assert model.suspect_labels(5).rows.shape == (5,)
    (answer,) = model.explain(X[:1])
    assert answer.predicted == model.predict(X[:1])[0]
    assert len(answer.columns) == 5
    assert all(voter.shares.shape == (5,) for voter in answer.voters)


def test_settings_are_chosen_on_rows_with_gaps(gaps):
    X, y = gaps
    model = KNNGraphClassifierCV(random_state=0, neighbor_counts=(8, 16)).fit(X, y)
    assert get_tags(model).input_tags.allow_nan
    assert model.score(X, y) > 0.9


def test_added_rows_are_mapped_as_at_fit(gaps):
    X, y = gaps
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(
        X[:150], y[:150]
    )
    space = model._model.space
    X_new = X[150:].copy()
    X_new[:, 1] = np.nan  # of which fit has seen every value
    model.partial_fit(X_new, y[150:]).forget(np.arange(20))
    assert model._model.space is space
    points, expected = model._model.training.points, space.map_rows(X_new)
    assert_array_equal(points[model._model.training.node_of_row[130:]], expected)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("seed", range(4))
def test_changes_are_those_of_a_model_of_filled_rows(seed, gaps):
    X, y = gaps
    random = np.random.default_rng(seed)
    order = random.permutation(240)
    X, y = X[order], y[order]
    settings = {"ef": 1000, "random_state": 0}
    model = KNNGraphClassifier(**settings).fit(X[:120], y[:120])
    filled = model._model.space.missing.filled
    plain = KNNGraphClassifier(**settings)
    plain.fit(filled(X[:120]), y[:120])
    for start in (120, 160, 200):
        new = slice(start, start + 40)
        model.partial_fit(X[new], y[new])
        plain.partial_fit(filled(X[new]), y[new])
        gone = random.choice(100, 10, replace=False)
        model.forget(gone)
        plain.forget(gone)
        for inference in INFERENCES:
            shares = model.set_params(inference=inference).predict_proba(X)
            plain.set_params(inference=inference)
            assert_array_equal(plain.predict_proba(filled(X)), shares)
    model = pickle.loads(pickle.dumps(model))
    assert_array_equal(model.predict_proba(X), shares)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "kneighbors"])
def test_other_metrics_name_the_column_and_the_way_out(method, gaps):
    X, y = gaps
    frame = pd.DataFrame(X, columns=["age", "height", "weight", "pulse", "dose"])
    filled = frame.fillna(0.0)
    for metric in ("euclidean", "cosine", "learned"):
        model = KNNGraphClassifier(metric=metric, random_state=0)
        assert not get_tags(model).input_tags.allow_nan
        message = r"'age'\).*'weight'\), 3 \('pulse'.*metric=\"auto\".*SimpleImputer"
        with pytest.raises(ValueError, match=message):
            model.fit(frame, y)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(frame, y, classes=np.unique(y))
        model.fit(filled, y)
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(frame)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(frame, y)
        with pytest.raises(ValueError, match=r"nan in row .*\('.*SimpleImputer"):
            model.to_predictor().predict(frame)
    transformer = KNNGraphTransformer()
    assert not get_tags(transformer).input_tags.allow_nan
    with pytest.raises(ValueError, match="Transformer takes no missing values: fill"):
        transformer.fit(frame, y)


def test_columns_without_values_and_infinities_are_named(gaps):
    X, y = gaps
    frame = pd.DataFrame(X, columns=["age", "height", "weight", "pulse", "dose"])
    empty = frame.assign(weight=np.nan)
    message = r"no value in any row of column 2 \('weight'\): drop it"
    weights = np.where(np.isnan(X[:, 2]), 1.0, 0.0)
    for model in (KNNGraphClassifier(), KNNGraphClassifierCV()):
        with pytest.raises(ValueError, match=message):
            model.fit(empty, y)
        with pytest.raises(ValueError, match=message):
            model.fit(frame, y, sample_weight=weights)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(empty, y, classes=np.unique(y))
        assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match="no value in any row of column 2: drop it"):
        KNNGraphClassifier().fit(sparse.csr_array(empty.to_numpy()), y)
    infinite = frame.copy()
    infinite.loc[7, "dose"] = -np.inf
    message = r"X has -inf in row 7, column 4 \('dose'\)"
    model = KNNGraphClassifier(random_state=0)
    with pytest.raises(ValueError, match=message):
        model.fit(infinite, y)
    model.fit(frame, y)
    for call in (model.predict, model.kneighbors, lambda X: model.partial_fit(X, y)):
        with pytest.raises(ValueError, match=message):
            call(infinite)
    predictor = model.to_predictor()
    with pytest.raises(ValueError, match=r"-inf in row 7, column 4 \('dose'\)"):
        predictor.predict(infinite)
    with pytest.raises(ValueError, match=r"inf in column 4 \('dose'\)"):
        predictor(infinite.to_numpy()[7])
    # A batch without values is no fit: it is added.
    assert model.partial_fit(empty[:5], y[:5]).n_samples_fit_ == 245


def test_what_neighbors_of_scikit_learn_refuse_is_answered(gaps):
    X, y = gaps
    with pytest.raises(ValueError, match="NaN"):
        KNeighborsClassifier().fit(X, y)
    theirs = HistGradientBoostingClassifier(random_state=0).fit(X[::2], y[::2])
    filled = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        KNeighborsClassifier(),
    ).fit(X[::2], y[::2])
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X[::2], y[::2])
    score = model.score(X[1::2], y[1::2])
    assert score >= filled.score(X[1::2], y[1::2]) - 0.02
    assert score >= theirs.score(X[1::2], y[1::2]) - 0.02
