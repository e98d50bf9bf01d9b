"""Up to `local_rows` rows one task fits the estimator: answers of one machine."""

import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.distributed import DaskKNNGraphClassifier, predict, predict_proba
from knngraph.exceptions import LookupAgreementWarning
from tests.distributed.data import queries, rows_with_copies, worded_with_copies


def collections(X, y, rows=130):
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


@pytest.fixture(scope="module")
def rows():
    return rows_with_copies(300)


@pytest.fixture(scope="module")
def near(rows):
    return KNNGraphClassifier(random_state=0, ef=16).fit(*rows)


@pytest.fixture(scope="module")
def far(rows):
    estimator = KNNGraphClassifier(random_state=0, ef=16)
    return DaskKNNGraphClassifier(estimator, n_partitions=3).fit(*collections(*rows))


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_answers_are_those_of_one_machine_to_the_bit(near, far, inference):
    Q, classes = queries()
    near.set_params(inference=inference)
    far.set_params(estimator__inference=inference)
    expected = near.predict_proba(Q)
    np.testing.assert_array_equal(far.predict_proba(Q), expected)
    np.testing.assert_array_equal(far.predict(Q), near.predict(Q))
    lazily = far.predict_proba(da.from_array(Q, chunks=(70, -1)))
    np.testing.assert_array_equal(lazily.compute(), expected)
    assert far.score(Q, classes) == near.score(Q, classes)
    assert far.score(*collections(Q, classes, 70)) == near.score(Q, classes)


def test_attributes_are_those_of_one_machine(near, far, rows):
    for name in ("bandwidth_", "query_bandwidth_", "label_doubt_", "query_nugget_"):
        assert getattr(far, name) == getattr(near, name)
    assert far.loo_score_ == near.loo_score_
    assert far.n_relabeled_ == len(near.relabeled_)
    assert far.optimality_gap_ == near.optimality_gap_.max()
    assert far.partition_sizes_.tolist() == [len(rows[0])]
    assert far.routing_recall_ == 1.0


def test_the_local_model_is_what_was_fitted(near, far):
    local = far.set_params(estimator__inference="adaptive").to_local()
    assert (local.graph_ != near.graph_).nnz == 0
    Q, classes = queries()
    near.set_params(inference="adaptive")
    np.testing.assert_array_equal(local.predict(Q), far.predict(Q))
    local.partial_fit(Q, classes).set_params(inference="lookup")
    np.testing.assert_array_equal(near.set_params(ef=16).predict(Q), far.predict(Q))


def test_none_is_the_default_classifier_and_takes_its_parameters(rows):
    far = DaskKNNGraphClassifier()
    assert set(far.get_params()) == {
        *("estimator", "n_partitions", "routing", "n_probes", "local_rows")
    }
    far.set_params(estimator__random_state=0, estimator__ef=16, n_partitions=2)
    assert far.get_params()["estimator__ef"] == 16
    copy = clone(far)
    assert repr(copy.get_params()) == repr(far.get_params())
    near = KNNGraphClassifier(random_state=0, ef=16).fit(*rows)
    Q, _ = queries()
    answers = copy.fit(*collections(*rows)).predict(Q)
    np.testing.assert_array_equal(answers, near.predict(Q))


def test_the_bound_is_a_number_of_rows(rows):
    estimator = KNNGraphClassifier(random_state=0, ef=16, metric="euclidean")
    n = len(rows[0])
    far = DaskKNNGraphClassifier(estimator, n_partitions=2, local_rows=n)
    assert len(far.fit(*collections(*rows)).partition_sizes_) == 1
    far.set_params(local_rows=n - 1)
    assert len(far.fit(*collections(*rows)).partition_sizes_) == 2


@pytest.mark.parametrize(
    "estimator",
    [
        KNNGraphClassifierCV(neighbor_counts=[8, 16], random_state=0),
        make_pipeline(StandardScaler(), KNNGraphClassifier(random_state=0, ef=16)),
        KNeighborsClassifier(),
    ],
    ids=["cv", "pipeline", "scikit-learn"],
)
def test_any_classifier_is_fitted_in_one_piece(estimator):
    X, y = worded_with_copies(200)
    near = clone(estimator).fit(X, y)
    far = DaskKNNGraphClassifier(estimator).fit(*collections(X, y))
    np.testing.assert_array_equal(far.predict_proba(X), near.predict_proba(X))
    assert not hasattr(estimator, "classes_")
    assert hasattr(far, "bandwidth_") == hasattr(near, "bandwidth_")
    with pytest.raises(TypeError, match="must be a KNNGraphClassifier"):
        far.set_params(local_rows=100).fit(*collections(X, y))
    np.testing.assert_array_equal(far.predict_proba(X), near.predict_proba(X))


def test_what_is_refused(rows):
    with pytest.raises(ValueError, match="'estimator' parameter"):
        DaskKNNGraphClassifier(StandardScaler()).fit(*collections(*rows))
    far = DaskKNNGraphClassifier(KNNGraphClassifier(M=0))
    with pytest.raises(ValueError, match="'M' parameter"):
        far.fit(*collections(*rows))
    with pytest.raises(ValueError, match="'M' parameter"):
        far.set_params(local_rows=0).fit(*collections(*rows))
    far.set_params(estimator__M=16, estimator__support="exact")
    with pytest.raises(ValueError, match=r"offered up to local_rows=0 rows"):
        far.fit(*collections(*rows))


def test_warnings_of_the_worker_come_from_fit():
    X, y = worded_with_copies()
    settings = {"random_state": 0, "support": "local", "metric": "euclidean"}
    estimator = KNNGraphClassifier(ef=1, walk="hnsw", **settings)
    for local_rows in (1000, 0):
        far = DaskKNNGraphClassifier(estimator, local_rows=local_rows)
        with pytest.warns(LookupAgreementWarning, match="medoids") as caught:
            far.fit(*collections(X, y))
        assert {warning.filename for warning in caught} == {__file__}


def test_a_local_classifier_answers_collections(near):
    Q, _ = queries()
    lazily = da.from_array(Q, chunks=(90, -1))
    np.testing.assert_array_equal(predict(near, lazily).compute(), near.predict(Q))
    np.testing.assert_array_equal(
        predict_proba(near, lazily).compute(), near.predict_proba(Q)
    )
    with pytest.raises(TypeError, match="got ndarray"):
        predict(near, Q)


def test_a_fit_leaves_nothing_of_the_one_before(rows):
    far = DaskKNNGraphClassifier(KNNGraphClassifier(random_state=0, ef=16))
    far.fit(*collections(*rows))
    assert hasattr(far, "bandwidth_")
    far.set_params(estimator=KNeighborsClassifier()).fit(*collections(*rows))
    assert not hasattr(far, "bandwidth_")


@pytest.mark.parametrize("local_rows", [0, 1000])
def test_stages_are_shown(rows, local_rows, capfd):
    estimator = KNNGraphClassifier(random_state=0, ef=16, verbose=1)
    DaskKNNGraphClassifier(estimator, local_rows=local_rows).fit(*collections(*rows))
    stages = capfd.readouterr().err
    assert "learning neighbors" in stages
    assert ("fitting the pilot" in stages) == (local_rows == 0)
