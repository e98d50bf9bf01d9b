"""Missing values in the blocks of a collection."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils import get_tags

from knngraph import KNNGraphClassifier
from knngraph.distributed import DaskKNNGraphClassifier

SETTINGS = {"random_state": 0, "support": "local", "ef": 64}


@pytest.fixture(params=[0, 1000], ids=["partitions", "whole"])
def far(request):
    return DaskKNNGraphClassifier(
        KNNGraphClassifier(inference="cascade", **SETTINGS),
        n_partitions=2,
        local_rows=request.param,
    )


@pytest.fixture
def gaps(blobs):
    """Rows of which a fifth of the cells of three columns is missing, and labels."""
    X, y = blobs[0].copy(), blobs[1]
    random = np.random.default_rng(0)
    X[:, :3][random.random((len(X), 3)) < 0.2] = np.nan
    X[:60, 1] = np.nan  # a whole block
    return X, y


def test_answers_are_those_of_one_machine(far, gaps, tmp_path):
    X, y = gaps
    rows, labels = da.from_array(X, chunks=(60, -1)), da.from_array(y, chunks=60)
    near = clone(far.estimator).fit(X, y)
    far.fit(rows, labels)
    queries = np.vstack([X, np.full((1, X.shape[1]), np.nan)])
    queries[0, -1] = np.nan  # of a column that has all its values at fit
    assert_allclose(far.predict_proba(queries), near.predict_proba(queries))
    assert_array_equal(far.predict(rows).compute(), near.predict(X))
    assert far.score(rows, labels) == near.score(X, y)
    assert far.n_features_in_ == X.shape[1]
    assert_array_equal(far.to_local().predict(queries), near.predict(queries))
    far.save(tmp_path / "model")
    again = DaskKNNGraphClassifier.load(tmp_path / "model")
    assert_array_equal(again.predict(queries), near.predict(queries))


def test_trees_see_gaps_in_blocks(far, gaps):
    X, y = gaps
    far.set_params(estimator__metric="trees")
    near = clone(far.estimator).fit(X[::2], y[::2])
    rows, labels = da.from_array(X[::2], chunks=(30, -1)), da.from_array(y[::2], 30)
    far.fit(rows, labels)
    assert far.metric_ == near.metric_
    score = near.score(X[1::2], y[1::2])
    assert abs(far.score(X[1::2], y[1::2]) - score) < 0.05
    assert np.isfinite(far.predict_proba(np.full((2, 5), np.nan))).all()


def test_a_column_without_values_in_all_blocks_is_named(far, gaps):
    X, y = gaps
    X[:, 1] = np.nan
    labels = da.from_array(y, chunks=60)
    with pytest.raises(ValueError, match=r"no value in any row of column 1: drop it"):
        far.fit(da.from_array(X, chunks=(60, -1)), labels)
    frame = dd.from_pandas(pd.DataFrame(X, columns=list("abcde")), npartitions=4)
    y = dd.from_pandas(pd.Series(y), npartitions=4)
    with pytest.raises(ValueError, match=r"in any row of column 1 \('b'\): drop it"):
        far.fit(frame, y)


def test_other_metrics_refuse_missing_values(far, gaps):
    X, y = gaps
    rows, labels = da.from_array(X, chunks=(60, -1)), da.from_array(y, chunks=60)
    assert get_tags(far).input_tags.allow_nan
    far.set_params(estimator__metric="euclidean")
    assert not get_tags(far).input_tags.allow_nan
    with pytest.raises(ValueError, match=r"Block . .* nan in row .*, column 0.*NaN"):
        far.fit(rows, labels)
    whole = da.nan_to_num(rows)
    with pytest.raises(ValueError, match="NaN"):
        far.fit(whole, labels).predict(rows).compute()
