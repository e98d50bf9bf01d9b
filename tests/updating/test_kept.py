"""What a change of the rows keeps of what was learned, and for how long."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

import knngraph.model as model_module
from knngraph import KNNGraphClassifier
from knngraph.index.medoids import MOST_UNLINKED, renumbered_entries
from knngraph.inference.reliability import label_probability
from knngraph.serving.predictor import load_predictor
from knngraph.updating.change import REFRESH_SHARE, Change
from tests.updating.fresh import INFERENCES, WIDE, assert_same_answers

N_ROWS = 400
MOST = int(REFRESH_SHARE * N_ROWS)
LEARNING = ("learn_graph", "estimate_reliability", "learn_rule", "calibrate_stored")


@pytest.fixture
def noisy():
    """Rows of three overlapping classes, a fifth of them with a wrong label."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, N_ROWS + 100)
    X = random.normal(size=(len(y), 4)) + 1.5 * np.eye(4)[y]
    y[::5] = (y[::5] + 1) % 3
    return X, y


def classifier(**parameters):
    settings = {"metric": "euclidean", "support": "local", "random_state": 0}
    return KNNGraphClassifier(**settings | parameters)


def changed_by(model, X, y, n_changes):
    """Add and forget rows one by one, each change with an answer."""
    for number in range(n_changes):
        if number % 2:
            model.forget(3 * number)
        else:
            row = N_ROWS + number
            model.partial_fit(X[row : row + 1], y[row : row + 1])
        model.predict(X[:2])
    return model


def test_numbers_are_learned_anew_after_the_documented_share(noisy, monkeypatch):
    X, y = noisy
    learned = []
    model = classifier(inference="cascade").fit(X[:N_ROWS], y[:N_ROWS])
    for name in LEARNING:
        learn = getattr(model_module, name)

        def count(*given, learn=learn, name=name, **more):
            learned.append(name)
            return learn(*given, **more)

        monkeypatch.setattr(model_module, name, count)
    changed_by(model, X, y, MOST)
    assert not learned
    assert model._model.rows.n_changed == MOST
    changed_by(model, X, y, 1)
    assert sorted(learned) == sorted(LEARNING)
    assert model._model.rows.n_changed == 0
    model.refresh().predict(X[:2])  # of rows that have not changed since
    assert len(learned) == len(LEARNING)
    changed_by(model, X, y, 1).refresh().predict(X[:2])
    assert len(learned) == 2 * len(LEARNING)


def test_a_number_is_that_of_its_last_learning(noisy):
    X, y = noisy
    model = classifier(inference="cascade").fit(X[:N_ROWS], y[:N_ROWS])
    assert model.label_doubt_ > 0.0
    names = ("bandwidth_", "query_bandwidth_", "query_nugget_", "label_doubt_")
    before = {name: getattr(model, name) for name in names}
    rule = model._model.stored_rule
    changed_by(model, X, y, MOST)
    assert {name: getattr(model, name) for name in names} == before
    assert model._model.stored_rule == rule
    model.refresh()
    fresh = classifier(inference="cascade")
    there = np.arange(N_ROWS)
    for number in range(MOST):
        there = (
            np.delete(there, 3 * number)
            if number % 2
            else np.append(there, N_ROWS + number)
        )
    fresh.fit(X[there], y[there])
    for name in names:
        assert getattr(model, name) == pytest.approx(getattr(fresh, name), rel=1e-4)


def test_a_new_row_has_its_own_reliability_and_a_forgotten_takes_it_along(noisy):
    X, y = noisy
    model = classifier(inference="adaptive", ef=WIDE).fit(X[:N_ROWS], y[:N_ROWS])
    before = model._model.left_out
    own = before.reliability.own[model._model.training.pair_of_row]
    model.partial_fit(X[-1:], y[-1:]).forget([5, 9])
    training, after = model._model.training, model._model.left_out
    now = after.reliability.own[training.pair_of_row]
    assert_array_equal(now[:-1], np.delete(own, [5, 9]))
    pair = training.pair_of_row[-1]
    assert 0.0 < now[-1] < 1.0
    expected = label_probability(
        after.own_share[pair],
        after.rival_share[pair],
        after.reliability.doubt,
        before.label_exponent,
        3,
    )
    assert now[-1] == pytest.approx(expected)
    # Its votes are those of a model in which all rows are left out.
    alone = model._model.left_out.own_share[pair]
    model.refresh()
    again = model._model.left_out
    assert alone == pytest.approx(
        again.own_share[model._model.training.pair_of_row[-1]], abs=0.02
    )


def test_a_copy_that_comes_or_goes_is_left_out_anew(noisy):
    X, y = noisy
    model = classifier(inference="adaptive", ef=WIDE).fit(X[:N_ROWS], y[:N_ROWS])
    share = model._model.left_out.own_share[model._model.training.pair_of_row[7]]
    model.partial_fit(X[7:8], y[7:8])
    pair = model._model.training.pair_of_row[7]
    assert model._model.left_out.own_share[pair] > share
    model.forget(-1)
    assert model._model.left_out.own_share[pair] == pytest.approx(share)


@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
@pytest.mark.parametrize("inference", INFERENCES)
def test_files_and_copies_answer_as_the_model_that_has_changed(
    noisy, inference, tmp_path
):
    # The starts of searches are kept: a copy that chose others would find others.
    X, y = noisy
    model = classifier(inference=inference).fit(X[:N_ROWS], y[:N_ROWS])
    changed_by(model, X, y, MOST // 2)
    copy = pickle.loads(pickle.dumps(model))
    assert_same_answers(copy, model, X)
    assert_same_answers(changed_by(copy, X, y, 4), changed_by(model, X, y, 4), X)
    predictor, shares = model.to_predictor(), model.predict_proba(X)
    assert 0 < len(model._model.rows.index.unlinked[0]) <= MOST_UNLINKED
    predictor.save(tmp_path / "predictor.knng")
    loaded = load_predictor(tmp_path / "predictor.knng")
    assert_array_equal(loaded.predict_proba(X), shares)
    model.forget(np.arange(9)).predict(X)
    assert_array_equal(predictor.predict_proba(X), shares)


def test_what_was_not_near_a_change_keeps_its_weights(noisy):
    X, y = noisy
    X = np.concatenate([X, X + 50.0])  # two crowds that do not see each other
    y = np.concatenate([y, y + 3])
    model = classifier(density_scales=(3,), ef=WIDE).fit(X, y)
    n_rows, far = len(y), np.arange(N_ROWS + 100, len(y))
    before = model.graph_[far][:, far].toarray(), model.density_[far]
    labels, distribution = model.labels_[far], model.label_distribution_[far]
    model.partial_fit(X[:1] + 0.01, y[:1]).forget(0)
    far = far - 1
    assert model.graph_.shape == (n_rows, n_rows)
    assert_array_equal(model.graph_[far][:, far].toarray(), before[0])
    assert_array_equal(model.density_[far], before[1])
    assert_array_equal(model.labels_[far], labels)
    assert_array_equal(model.label_distribution_[far], distribution)
    assert (model.density_ <= 1.0).all()
    assert (model.density_ >= 0.0).all()


def test_a_refresh_that_cannot_be_is_refused(noisy):
    X, y = noisy
    with pytest.raises(NotFittedError):
        classifier().refresh()
    model = classifier(ef=WIDE).fit(X[:N_ROWS], y[:N_ROWS]).forget(0)
    model.set_params(max_neighbors=9)
    with pytest.raises(ValueError, match="max_neighbors was 32 at fit and is 9 now"):
        model.refresh()
    model.set_params(max_neighbors=32)
    before = model._learned
    assert model.refresh()._learned is not before


def test_what_the_rows_are_is_known_without_a_search(noisy):
    X, y = noisy
    model = classifier(ef=WIDE).fit(X[:N_ROWS], y[:N_ROWS]).forget([0, 1])
    assert model.n_samples_fit_ == N_ROWS - 2
    assert model.effective_metric_ == "euclidean"
    assert model.effective_metric_params_ == {}
    assert isinstance(model._model.start, Change)
    exact = classifier(support="exact", ef=WIDE).fit(X[:50], y[:50])
    assert exact._searched_rows().index is exact._searched_rows().index


def test_entries_follow_their_points():
    centers = np.array([[0.0], [1.0]], dtype=np.float32)
    entries = np.array([[0, 3, 4], [2, -1, -1]], dtype=np.int32)
    number_now = np.array([2, 0, -1, 1, -1])
    kept, now = renumbered_entries(centers, entries, number_now)
    assert kept.tolist() == [[0.0]]
    assert now.tolist() == [[1, 2, -1]]
    assert renumbered_entries(centers, entries, np.full(5, -1)) is None
