"""Examples small enough to work by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph import (
    CVKNNClassifier,
    ENNClassifier,
    KDTreeKNNClassifier,
    KStarNNClassifier,
    KStarTreeClassifier,
    KTreeClassifier,
    OneStepKNNClassifier,
    OWAKNNClassifier,
    PLKNNClassifier,
    SubNNClassifier,
    XHMAKNNClassifier,
)
from knngraph.baselines.k_star import optimal_weights
from knngraph.baselines.one_step import solve_projection
from knngraph.baselines.ordered_weights import weight_table
from knngraph.exceptions import KNNGraphWarning


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


class TestCVKNN:
    X = column(0, 1, 2, 3, 4, 5)
    y = (0, 0, 1, 0, 1, 1)

    def test_leave_one_out_curve(self):
        model = CVKNNClassifier(k_candidates=[1, 3, 5], cv="loo").fit(self.X, self.y)
        assert_allclose(model.cv_scores_, [3 / 6, 4 / 6, 0.0])
        assert model.best_k_ == 3
        assert_allclose(model.predict_proba([[2.4]]), [[2 / 3, 1 / 3]])

    def test_one_neighbor_would_say_otherwise(self):
        model = CVKNNClassifier(k_candidates=[1], cv="loo").fit(self.X, self.y)
        assert model.predict([[2.4]]) == [1]

    def test_two_folds_and_the_smallest_of_equals(self):
        folds = [([1, 3, 5], [0, 2, 4]), ([0, 2, 4], [1, 3, 5])]
        model = CVKNNClassifier(k_candidates=[1, 2, 3], cv=folds).fit(self.X, self.y)
        assert_allclose(model.cv_scores_, [1 / 2, 1 / 2, 1 / 3])
        assert model.best_k_ == 1

    def test_candidates_too_large_for_a_fold_are_left_out(self):
        model = CVKNNClassifier(k_candidates=[9, 2, 5, 3], cv="loo")
        assert_array_equal(model.fit(self.X, self.y).k_candidates_, [2, 3, 5])
        model = CVKNNClassifier(k_candidates=[9], cv="loo").fit(self.X, self.y)
        assert model.best_k_ == 1

    def test_default_candidates(self):
        X = np.arange(40.0)[:, None]
        model = CVKNNClassifier(random_state=0).fit(X, [0, 1] * 20)
        assert_array_equal(model.k_candidates_, range(1, 7))

    def test_a_single_row(self):
        model = CVKNNClassifier().fit([[1.0]], [7])
        assert model.best_k_ == 1
        assert model.cv_scores_.size == 0

    @pytest.mark.parametrize("wrong", [[0], [1.5], ["a"], [True], []])
    def test_candidates_that_are_none(self, wrong):
        with pytest.raises(ValueError, match=r"k_candidates .*(1|one)"):
            CVKNNClassifier(k_candidates=wrong).fit(self.X, self.y)


class TestENN:
    X = column(0, 1, 2, 3.1, 10, 11.5)
    y = (0, 0, 1, 0, 1, 1)

    def test_mode(self):
        model = ENNClassifier().fit(self.X, self.y)
        assert_array_equal(model.sample_indices_, [0, 1, 3, 4, 5])
        assert model.n_removed_ == 1
        assert_array_equal(model.removed_per_class_, [0, 1])
        assert model.predict([[2.3]]) == [0]

    def test_one_judge(self):
        model = ENNClassifier(n_neighbors_edit=1).fit(self.X, self.y)
        assert_array_equal(model.sample_indices_, [0, 1, 4, 5])

    def test_all_removes_everything_and_falls_back(self):
        with pytest.warns(KNNGraphWarning, match=r"n_neighbors_edit=3.*kind='all'"):
            model = ENNClassifier(kind="all").fit(self.X, self.y)
        assert_array_equal(model.sample_indices_, range(6))
        assert model.predict([[2.3]]) == [1]

    def test_copies_with_different_labels_remove_each_other(self):
        X, y = column(0, 0, 5, 6), (0, 1, 1, 1)
        model = ENNClassifier(n_neighbors_edit=1).fit(X, y)
        assert_array_equal(model.sample_indices_, [2, 3])
        assert_allclose(model.predict_proba([[0.0]]), [[0.0, 1.0]])

    def test_ties(self):
        # The judges of the first row of class 1 are one of each class.
        X, y = column(0, 1, 2, 3), (0, 1, 1, 2)
        kept = {
            tie: ENNClassifier(n_neighbors_edit=2, tie=tie).fit(X, y).sample_indices_
            for tie in ("keep", "smallest")
        }
        assert_array_equal(kept["keep"], [1, 2])
        assert_array_equal(kept["smallest"], [2])

    def test_repeated_editing_ends_by_itself(self):
        # The second round takes the last two rows of class 1, the third none.
        model = ENNClassifier(max_iter=50).fit(self.X, self.y)
        assert model.n_iter_ == 3
        assert_array_equal(model.sample_indices_, [0, 1, 3])
        assert_array_equal(model.removed_per_class_, [0, 3])
        assert_array_equal(model.predict_proba([[11.0]]), [(1, 0)])


class TestKDTree:
    X = ((2, 3), (5, 4), (9, 6), (4, 7), (8, 1), (7, 2))
    y = (0, 0, 1, 0, 1, 1)

    @pytest.mark.parametrize("k", [1, 3])
    def test_two_queries(self, k):
        model = KDTreeKNNClassifier(n_neighbors=k, leaf_size=1).fit(self.X, self.y)
        assert_array_equal(model.predict([(9, 2), (2, 4.5)]), [1, 0])

    def test_the_first_of_three_rows_equally_far_votes(self):
        model = KDTreeKNNClassifier(n_neighbors=3, leaf_size=1).fit(self.X, self.y)
        assert_allclose(model.predict_proba([(6, 4)]), [[1 / 3, 2 / 3]])

    def test_a_row_at_distance_zero_votes_alone(self):
        model = KDTreeKNNClassifier(weights="distance").fit(self.X, self.y)
        assert_array_equal(model.predict_proba([(5, 4)]), [[1.0, 0.0]])


class TestPLKNN:
    X = ((0, 0), (2, 0), (1, 2), (5, 0), (4, 3), (6, 3))
    y = (0, 0, 0, 1, 1, 1)

    def test_centers_and_weights(self):
        model = PLKNNClassifier().fit(self.X, self.y)
        assert_allclose(model.centers_, [(1, 0), (5, 3)])
        assert_allclose(
            model.sample_weight_,
            [0.9999, 0.9999, 0.499975, 0.333322, 0.9999, 0.9999],
            rtol=1e-5,
        )

    def test_manhattan(self):
        model = PLKNNClassifier().fit(self.X, self.y)
        shares = model.predict_proba([(20, 0), (3, 1), (2, 0)])
        expected = [(0.406694, 0.593306), (1, 0), (1, 0)]
        assert_allclose(shares, expected, atol=1e-6)
        assert_array_equal(model.n_neighbors_used([(20, 0), (3, 1)]), [3, 2])

    def test_euclidean(self):
        model = PLKNNClassifier(metric="euclidean").fit(self.X, self.y)
        assert_array_equal(model.predict_proba([(20, 0)]), [(0, 1)])
        assert_array_equal(model.n_neighbors_used([(20, 0)]), [2])

    def test_nothing_kept(self):
        model = PLKNNClassifier().fit(column(0, 10, 30, 40), (0, 0, 1, 1))
        assert_allclose(model.centers_.ravel(), [5, 35])
        assert_array_equal(model.n_neighbors_used([[5.5], [34]]), [0, 0])
        assert_array_equal(model.predict_proba([[5.5], [34]]), [(1, 0), (0, 1)])


class TestOWAKNN:
    X = column(1, 3, 4, 7, 8, 12)
    y = (0, 0, 0, 1, 1, 1)

    def test_weights(self):
        table = weight_table(3, 0.5)
        assert_allclose(table[1], [1, 0, 0])
        assert_allclose(table[2], [0.707107, 0.292893, 0], atol=1e-6)
        assert_allclose(table[3], [0.577350, 0.239146, 0.183503], atol=1e-6)
        assert_allclose(weight_table(4, 1.0)[4], np.full(4, 0.25))

    def test_distances_and_memberships(self):
        model = OWAKNNClassifier(n_neighbors=3).fit(self.X, self.y)
        distances = model.decision_distances([[5.0], [5.7]])
        expected = [(1.564838, 8.883488), (3.755767, 5.533687)]
        assert_allclose(distances, expected, rtol=1e-6)
        shares = model.predict_proba([[5.0]])
        assert_allclose(shares, [(0.850231, 0.149769)], rtol=1e-5)
        assert_array_equal(model.predict([[5.0], [5.7]]), [0, 0])

    def test_equal_weights_decide_otherwise(self):
        model = OWAKNNClassifier(n_neighbors=3, alpha=1.0).fit(self.X, self.y)
        distances = model.decision_distances([[5.7]])
        assert_allclose(distances, [(5.643704, 5.273333)], rtol=1e-6)
        assert model.predict([[5.7]]) == [1]

    def test_a_small_class_uses_what_it_has(self):
        model = OWAKNNClassifier(n_neighbors=3).fit(column(1, 3, 4, 7), (0, 0, 0, 1))
        assert_array_equal(model.n_neighbors_per_class_, [3, 1])
        assert_allclose(model.decision_distances([[5.0]]), [(1.564838, 4)], rtol=1e-6)
        shares = model.predict_proba([[5.0]])
        assert_allclose(shares, [(0.718799, 0.281201)], rtol=1e-5)

    def test_a_small_class_first_does_not_shorten_the_next(self):
        model = OWAKNNClassifier(n_neighbors=3).fit(column(7, 1, 3, 4), (0, 1, 1, 1))
        assert_allclose(model.decision_distances([[5.0]]), [(4, 1.564838)], rtol=1e-6)

    def test_one_neighbor_is_the_nearest(self):
        model = OWAKNNClassifier(n_neighbors=1).fit(self.X, self.y)
        assert_allclose(model.decision_distances([[5.0]]), [(1, 4)])

    def test_copies_share_the_membership(self):
        X, y = column(0, 0, 0.5), (0, 2, 1)
        model = OWAKNNClassifier(n_neighbors=1).fit(X, y)
        assert_array_equal(model.predict_proba([[0.0]]), [(0.5, 0.0, 0.5)])


class TestXHMAKNN:
    X = column(1, -1.2, 1.4, -1.5, 1.7, 2.0)
    y = (0, 1, 1, 0, 0, 1)

    @pytest.mark.parametrize(
        ("threshold", "weight", "rescale", "k", "means"),
        [
            (10, 0.5, None, 3, (1, 0.722222)),
            (50, 0.5, None, 6, (0.538462, 0.547619)),
            (10, 0.2, None, 5, (0.853659, 0.984848)),
            (50, 0.2, None, 6, (0.853659, 0.891473)),
            (10, 0.5, "minmax", 3, (0.5, 0.625)),
        ],
    )
    def test_growth(self, threshold, weight, rescale, k, means):
        model = XHMAKNNClassifier(threshold=threshold, weight=weight, rescale=rescale)
        model.fit(self.X, self.y)
        assert_array_equal(model.n_neighbors_used([[0.0]]), [k])
        scores = 1.0 / np.array(means)
        shares = model.predict_proba([[0.0]])[0]
        assert_allclose(shares, scores / scores.sum(), rtol=1e-5)

    def test_one_class_among_the_neighbors_stops_at_once(self):
        model = XHMAKNNClassifier(n_neighbors=2).fit(column(0, 1, 8, 9), (0, 0, 1, 1))
        assert_array_equal(model.n_neighbors_used([[0.4]]), [2])
        assert_array_equal(model.predict_proba([[0.4]]), [(1, 0)])

    def test_copies_of_the_query_decide_by_their_number(self):
        X, y = column(0, 0, 0, 5), (0, 1, 1, 0)
        model = XHMAKNNClassifier(max_extra=0).fit(X, y)
        assert_allclose(model.predict_proba([[0.0]]), [(1 / 3, 2 / 3)])

    def test_ties_grow_to_the_end_and_go_to_the_first_class(self):
        X, y = column(-1, 1, -2, 2), (1, 0, 1, 0)
        model = XHMAKNNClassifier(n_neighbors=2, threshold=100).fit(X, y)
        assert_array_equal(model.n_neighbors_used([[0.0]]), [4])
        assert model.predict([[0.0]]) == [0]


class TestKTree:
    X = ((4, 2), (1, 1), (3, 1), (4, 0), (2, 0))
    y = (0, 1, 0, 0, 1)

    def test_mixes_and_numbers_of_neighbors(self):
        model = KTreeClassifier(rho1=0.2).fit(self.X, self.y)
        mixes = np.zeros((5, 5))
        mixes[[1, 2], 0] = 0.85, 1.05
        mixes[0, 1] = 0.295
        mixes[[0, 3], 2] = 0.5, 0.24375
        mixes[3, 4] = 0.49375
        found = model.reconstruction_.toarray()
        assert_allclose(found[:, [0, 1, 2, 4]], mixes[:, [0, 1, 2, 4]], atol=1e-8)
        # Row 3 has more than one best mix, since row 2 is midway between rows 0
        # and 4; all of them have the same image and the same sum.
        assert_allclose(np.transpose(self.X) @ found[:, 3], [3.95, 0.05], atol=1e-8)
        assert_allclose(found[:, 3].sum(), 1.95)
        assert_array_equal(model.k_train_, [2, 1, 2, 2, 1])

    def test_a_row_that_may_represent_itself(self):
        model = KTreeClassifier(rho1=0.2, exclude_self=False).fit(self.X, self.y)
        assert_array_equal(model.k_train_, [1, 2, 2, 1, 1])

    def test_tree(self):
        tree = KTreeClassifier(rho1=0.2).fit(self.X, self.y).tree_.tree_
        assert tree.n_leaves == 2
        assert (tree.feature[0], tree.threshold[0]) == (0, 2.5)

    def test_search_over_all_rows(self):
        model = KTreeClassifier(rho1=0.2).fit(self.X, self.y)
        assert_array_equal(model.predict_k([(2.4, 0.9), (3.2, 0.2)]), [1, 2])
        shares = model.predict_proba([(2.4, 0.9), (3.2, 0.2)])
        assert_array_equal(shares, [(1, 0), (1, 0)])

    def test_search_in_the_leaf(self):
        model = KStarTreeClassifier(rho1=0.2).fit(self.X, self.y)
        left, right = model.leaf_candidates_
        assert_array_equal(model.leaf_candidates_[left], [1, 4])
        assert_array_equal(model.leaf_candidates_[right], [0, 2, 3])
        assert model.leaf_k_ == {left: 1, right: 2}
        shares = model.predict_proba([(2.4, 0.9), (3.2, 0.2)])
        assert_array_equal(shares, [(0, 1), (1, 0)])

    def test_a_penalty_too_large_leaves_one_neighbor_and_one_leaf(self):
        everywhere = KTreeClassifier(rho1=1e6).fit(self.X, self.y)
        in_leaf = KStarTreeClassifier(rho1=1e6).fit(self.X, self.y)
        assert everywhere.reconstruction_.nnz == 0
        assert_array_equal(everywhere.k_train_, np.ones(5))
        assert everywhere.tree_.get_n_leaves() == 1
        queries = np.random.default_rng(0).uniform(0, 5, size=(30, 2))
        assert_array_equal(everywhere.predict(queries), in_leaf.predict(queries))

    def test_many_different_numbers_among_few_rows_are_no_reason_to_warn(self):
        X = np.arange(30.0)[:, None]
        model = KTreeClassifier().fit(X, [0, 1] * 15)
        model.k_train_ = np.arange(1, 31)
        assert model._grow_tree(X).get_n_leaves() == 30

    def test_a_mix_that_does_not_settle_is_reported(self):
        with pytest.warns(KNNGraphWarning, match="max_iter=1 steps"):
            model = KTreeClassifier(rho1=0.2, max_iter=1).fit(self.X, self.y)
        assert model.n_iter_ == 1


class TestOneStep:
    X = column(-3, -1, 1, 2)
    y = (1, 1, 0, 0)

    def test_one_group(self):
        model = OneStepKNNClassifier(alpha=0.5, beta=0.25, n_groups=1)
        model.fit(self.X, self.y)
        assert_allclose(model.projection_, self.X / 17.0)
        assert_array_equal(model.group_sizes_, [4])
        assert_array_equal(model.predict_proba([[1.0]]), [(1, 0)])
        assert_array_equal(model.n_neighbors_used([[1.0]]), [2])

    def test_two_overlapping_groups(self):
        # Rows 0 to 2 and rows 2 and 3: the sizes of the groups of each row add.
        penalties = 0.5 * 2.0 + 0.25 * np.array([3.0, 3.0, 5.0, 2.0])
        projection = solve_projection(self.X, penalties)
        expected = [-0.174475, -0.058158, 0.045234, 0.135703]
        assert_allclose(projection.ravel(), expected, rtol=1e-5)

    def test_a_query_of_zeros_is_answered_by_the_class_shares(self):
        model = OneStepKNNClassifier().fit(column(-3, -1, 1), ("b", "b", "a"))
        assert_allclose(model.predict_proba([[0.0]]), [(1 / 3, 2 / 3)])
        assert_array_equal(model.n_neighbors_used([[0.0]]), [0])

    @pytest.mark.parametrize("seed", range(10))
    def test_equal_rows_all_keep_their_weight(self, seed):
        X, y = np.full((7, 3), 0.1), [0, 0, 0, 0, 1, 1, 1]
        model = OneStepKNNClassifier(random_state=seed).fit(X, y)
        assert_array_equal(model.n_neighbors_used([[0.3, 0.3, 0.3]]), [7])
        assert_allclose(model.predict_proba([[0.3] * 3]), [(4 / 7, 3 / 7)])

    def test_no_penalty_at_all(self):
        with pytest.raises(ValueError, match="alpha=0 and beta=0"):
            OneStepKNNClassifier(alpha=0.0, beta=0.0).fit(self.X, self.y)

    def test_next_to_no_penalty(self):
        with pytest.warns(KNNGraphWarning, match="alpha=1e-20 and beta=0"):
            OneStepKNNClassifier(alpha=1e-20, beta=0.0).fit(self.X, self.y)


class TestSubNN:
    def test_labels_are_voted_on_in_advance(self):
        X, y = column(0, 1, 2, 10, 11, 12), (0, 1, 0, 1, 1, 1)
        model = SubNNClassifier(n_estimators=1, max_samples=1.0, n_neighbors=3)
        shares = model.fit(X, y).predict_proba([[1.1], [11.1]])
        assert_allclose(shares, [(2 / 3, 1 / 3), (0, 1)])
        model = model.set_params(voting="hard").fit(X, y)
        assert_array_equal(model.predict_proba([[1.1], [11.1]]), [(1, 0), (0, 1)])

    @pytest.mark.parametrize(
        ("max_samples", "size"), [(3, 3), (50, 8), (0.5, 4), (0.01, 1), (1.0, 8)]
    )
    def test_size_of_subsamples(self, max_samples, size):
        X = np.arange(8.0)[:, None]
        model = SubNNClassifier(max_samples=max_samples, random_state=0)
        model.fit(X, [0, 1] * 4)
        assert len(model.estimators_samples_) == 10
        assert all(np.unique(s).size == size for s in model.estimators_samples_)


class TestKStarNN:
    def test_weights(self):
        assert_allclose(
            optimal_weights(np.array([[0.1, 0.3, 2.0]])), [[4 / 7, 3 / 7, 0]]
        )

    def test_shares(self):
        model = KStarNNClassifier().fit(column(0.1, 0.3, 2.0), (0, 1, 0))
        assert_allclose(model.predict_proba([[0.0]]), [(4 / 7, 3 / 7)])
        assert_array_equal(model.n_neighbors_used([[0.0]]), [2])

    def test_copies_of_the_query_have_finite_weights(self):
        model = KStarNNClassifier().fit(column(0, 0, 9), (0, 1, 1))
        assert_allclose(model.predict_proba([[0.0]]), [(0.5, 0.5)])
