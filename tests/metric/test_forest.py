"""A forest as flat arrays, and which of its trees have drawn a row."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse, stats
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from knngraph.graph.training_set import row_hashes
from knngraph.metric.forest import columns_as_seen, draw_counts
from knngraph.metric.grow import (
    MAX_TARGETS,
    ForestSettings,
    class_targets,
    flatten,
    grow_forest,
)
from tests.frozen import assert_frozen

FEW = ForestSettings(n_trees=20)


def rows_of(random, n_rows, n_columns, *, missing=0.0):
    X = random.normal(size=(n_rows, n_columns)).astype(np.float32)
    X[random.random(X.shape) < missing] = np.nan
    return X


def tree_by_tree(forest, X, codes, n_classes, kind):
    """Scikit-learn's trees, fitted to the rows that the forest says each has drawn."""
    seen = forest.as_seen(X)
    hashes = row_hashes(seen, forest.seed)
    order = np.lexsort((codes, hashes))
    for number, salt in enumerate(forest.salts):
        counts = draw_counts(hashes[order], salt)
        some = order[counts > 0]
        extra = kind == "extra" or (kind == "both" and number % 2)
        tree = (ExtraTreeClassifier if extra else DecisionTreeClassifier)(
            max_features="sqrt", random_state=int(salt >> np.uint64(33))
        )
        tree.fit(seen[some], codes[some], sample_weight=counts[counts > 0])
        yield tree, set(some.tolist())


@pytest.mark.parametrize("kind", ["both", "forest", "extra"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("n_columns", "n_classes"), [(1, 2), (6, 3), (6, 2), (6, 30), (4, 300)]
)
def test_shares_are_those_of_scikit_learns_trees(
    random, kind, missing, n_columns, n_classes
):
    n = 900 if n_classes == 300 else 250
    X = rows_of(random, n, n_columns, missing=missing)
    X = X[np.unique(np.nan_to_num(X, nan=99.0), axis=0, return_index=True)[1]]
    codes = random.integers(n_classes, size=len(X))
    queries = rows_of(random, 100, n_columns, missing=0.3)
    queries = queries[~np.isnan(queries).all(axis=1)]  # one of X may be so too
    settings = ForestSettings(n_trees=6, kind=kind)
    forest = grow_forest(X, codes, n_classes, settings)
    targets = class_targets(n_classes, 0)
    for rows, are_known in ((queries, False), (X, True)):
        found = forest.shares(rows)
        expected, counted = np.zeros(found.shape), np.zeros(len(rows))
        trees = list(tree_by_tree(forest, X, codes, n_classes, kind))
        for tree, drawn in trees:
            shares = np.zeros((len(rows), n_classes))
            shares[:, tree.classes_] = tree.predict_proba(forest.as_seen(rows))
            # Rows that every tree has drawn are answered by all of them.
            everywhere = set.intersection(*(drawn for _, drawn in trees))
            counts = [
                not are_known or i not in drawn or i in everywhere
                for i in range(len(rows))
            ]
            expected[counts] += (shares @ targets)[counts].astype(np.float32)
            counted += counts
        assert_array_equal(found, expected / counted[:, None])


def test_constant_columns_and_one_class(random):
    X = np.hstack([np.full((60, 2), 7.0), random.normal(size=(60, 1))])
    codes = (X[:, 2] > 0).astype(int)
    forest = grow_forest(X, codes, 2, FEW)
    assert set(forest.feature.tolist()) == {-1, 2}
    beside = np.nextafter(X, 9.0)  # by all trees
    assert ((forest.shares(beside)[:, 0] > 0.5) == codes).mean() > 0.95
    constant = grow_forest(X[:, :2], codes, 2, FEW)
    assert np.ptp(constant.shares(X[:, :2])) == 0.0
    alone = grow_forest(X, np.zeros(60, dtype=int), 1, FEW)
    assert_array_equal(alone.shares(X), np.ones((60, 1)))


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_trees_without_rows_know_how_frequent_classes_are(n_rows):
    X, codes = np.arange(n_rows)[:, None] * 1.0, np.arange(n_rows)
    forest = grow_forest(X, codes, 3, ForestSettings(n_trees=40))
    shares = forest.shares(X)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares >= 0.0).all()


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_and_order_change_no_bytes(random, n_threads):
    X = rows_of(random, 1300, 4, missing=0.1)
    codes = random.integers(3, size=1300)
    one = grow_forest(X, codes, 3, FEW)
    order = random.permutation(1300)
    scales = grow_forest(X[order], codes[order], 3, FEW, n_threads=n_threads)
    arrays = ("feature", "threshold", "right", "missing_left", "values", "center")
    for name in (*arrays, "grown_from"):
        assert getattr(one, name).tobytes() == getattr(scales, name).tobytes()
    # Rows that the trees know, and others among them.
    rows = np.concatenate([X, rows_of(random, 700, 4)])[random.permutation(2000)]
    together = one.shares(rows)
    assert_array_equal(one.shares(rows, n_threads=n_threads), together)
    alone = [one.shares(rows[i : i + 1])[0] for i in range(50)]
    assert_array_equal(alone, together[:50])


def test_shares_of_a_row_do_not_depend_on_its_label(random):
    # Labels without any rule: only trees that have drawn a row know its label.
    X, codes = rows_of(random, 2000, 5), random.integers(2, size=2000)
    forest = grow_forest(X, codes, 2, ForestSettings(n_trees=60))
    right = (forest.shares(X)[:, 0] > 0.5) == codes
    assert abs(right.mean() - 0.5) < 0.04
    beside = np.nextafter(X, np.float32(9))  # by all trees
    assert ((forest.shares(beside)[:, 0] > 0.5) == codes).mean() > 0.95


def test_copies_have_the_same_shares_and_new_rows_all_trees(random):
    X, codes = rows_of(random, 500, 3), random.integers(2, size=500)
    forest = grow_forest(X[:400], codes[:400], 2, FEW)
    assert_array_equal(
        forest.drawn(forest.as_seen(X)).any(axis=1), np.arange(500) < 400
    )
    twice = forest.shares(np.concatenate([X, X[::-1]]))
    assert_array_equal(twice[:500], twice[500:][::-1])
    few = grow_forest(X, codes, 2, ForestSettings(n_trees=20, max_rows=100))
    hashes = np.sort(row_hashes(few.as_seen(X), 0))
    assert_array_equal(few.grown_from, hashes[:100])
    unseen = ~np.isin(row_hashes(few.as_seen(X), 0), few.grown_from)
    assert unseen.sum() == 400
    drawn = few.drawn(few.as_seen(X))
    assert not drawn[unseen].any()
    assert 0.58 < drawn[~unseen].mean() < 0.68


def test_zeros_and_missing_numbers_are_alike():
    nans = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64)
    rows = np.concatenate([[0.0, -0.0], nans.view(np.float64)])[:, None]
    seen = columns_as_seen(rows, np.zeros(1), np.ones(1))
    assert seen[0].tobytes() == seen[1].tobytes()
    assert seen[2].tobytes() == seen[3].tobytes()
    assert np.isnan(seen[2:]).all()
    hashes = row_hashes(seen, 0)
    assert hashes[0] == hashes[1] != hashes[2] == hashes[3]


def test_counts_are_poisson():
    hashes = row_hashes(np.arange(200_000, dtype=np.float32)[:, None], 0)
    for salt in np.random.default_rng(0).integers(2**64, size=3, dtype=np.uint64):
        counts = draw_counts(hashes, salt)
        assert counts.mean() == pytest.approx(1.0, abs=0.01)
        assert counts.var() == pytest.approx(1.0, abs=0.02)
        assert (counts == 0).mean() == pytest.approx(np.exp(-1.0), abs=0.005)
    top = np.array([2**64 - 1], dtype=np.uint64)
    assert draw_counts(top, np.zeros(1, dtype=np.uint64))[0] < 20


def splitmix64(number):
    """The numbers of the generator of that name after its state `number`."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % 2**64
    return number ^ (number >> 31)


def test_trees_draw_rows_by_the_numbers_of_splitmix64(random):
    # Its first three numbers after the seed 1234567, as they are published.
    states = [(1234567 + i * 0x9E3779B97F4A7C15) % 2**64 for i in (1, 2, 3)]
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [splitmix64(state) for state in states] == published
    X, codes = rows_of(random, 60, 2), random.integers(2, size=60)
    forest = grow_forest(X, codes, 2, FEW)
    hashes = row_hashes(forest.as_seen(X), 0)
    shares = [
        [splitmix64(int(h) ^ int(salt)) / 2**64 for salt in forest.salts]
        for h in hashes
    ]
    # The inverse of the distribution function of the Poisson numbers.
    expected = stats.poisson.ppf(shares, 1.0)
    assert_array_equal(draw_counts(hashes[:, None], forest.salts), expected)
    assert_array_equal(forest.drawn(forest.as_seen(X)), expected > 0)
    # A row that has grown no tree is drawn by none.
    drawn = forest.drawn(forest.as_seen(np.concatenate([X[:3], X[:1] + 0.5])))
    assert_array_equal(drawn, np.concatenate([expected[:3] > 0, [[False] * 20]]))
    assert forest.drawn(forest.as_seen(X[:3] + 0.5)).shape == (0, 20)


def test_columns_as_seen_by_hand():
    X = np.array([[3.0, np.nan], [1e300, -1e300], [-1e300, 2.0**-1000]], order="F")
    seen = columns_as_seen(X, np.array([1.0, 0.0]), np.array([2.0, 2.0**-1000]))
    assert seen.dtype == np.float32
    assert seen.flags.c_contiguous
    assert_array_equal(seen, [[1.0, np.nan], [2.0**60, -(2.0**60)], [-(2.0**60), 1.0]])


def test_center_and_scale_of_columns(random):
    columns = [
        # Column, the lower median of what is known, the power of two above the
        # lower median of the distances from it that are not zero.
        ([1.0, 2.0, 3.0, 10.0, 9.0], 3.0, 4.0),
        ([1.0, 2.0, 3.0, 10.0, np.nan], 2.0, 2.0),
        ([np.nan, 5.0, np.nan, np.nan, np.nan], 5.0, 2.0),
        ([np.nan, np.nan, np.nan, np.nan, np.nan], 0.0, 2.0),
        ([0.0, 0.0, 6.0, 0.0, 0.0], 0.0, 8.0),
        ([np.nan, 6.0, 4.0, np.nan, np.nan], 4.0, 4.0),
        ([7.0, 7.0, 7.0, 7.0, 7.0], 7.0, 2.0),
        ([0.0, 0.0, 5e-324, 0.0, 0.0], 0.0, 2.0**-1000),
        ([0.0, 0.0, 1.7e308, 0.0, 0.0], 0.0, 2.0**1000),
        # Too far to count.
        ([-1.7e308, -1.7e308, 1.7e308, np.nan, np.nan], -1.7e308, 2.0),
    ]
    X = np.array([column for column, _, _ in columns]).T
    forest = grow_forest(X, np.arange(5) % 2, 2, ForestSettings(n_trees=2))
    assert_array_equal(forest.center, [center for _, center, _ in columns])
    assert_array_equal(forest.scale, [scale for _, _, scale in columns])
    assert forest.column_weight == 1.0
    # Zeros of sparse rows stay zeros.
    thin = grow_forest(sparse.csr_array(X[:, :1]), np.arange(5) % 2, 2, FEW)
    assert (thin.center.item(), thin.scale.item()) == (0.0, 4.0)


def test_what_pure_leaves_hold():
    assert_array_equal(class_targets(2, 0), [[0.0], [1.0]])
    for n in (1, 3, MAX_TARGETS):
        assert_array_equal(class_targets(n, 0), np.eye(n))
    mixed = class_targets(MAX_TARGETS + 1, 3)
    assert mixed.shape == (17, 16)
    assert mixed.dtype == np.float32
    assert_array_equal(np.abs(mixed), 0.25)
    assert_array_equal(class_targets(17, 3), mixed)
    assert (class_targets(17, 4) != mixed).any()


def test_no_rows_have_no_shares(random):
    forest = grow_forest(rows_of(random, 40, 2), np.arange(40) % 3, 3, FEW)
    assert forest.shares(np.empty((0, 2))).shape == (0, 3)


def test_what_a_stage_hands_on_is_not_changed():
    assert_frozen("metric")


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1.0, 1e12, 1e200])
def test_the_unit_of_a_column_is_of_no_account(random, scale):
    X, codes = rows_of(random, 300, 2).astype(np.float64), random.integers(2, size=300)
    unit = 2.0 ** np.round(np.log2(scale))
    plain = grow_forest(X, codes, 2, FEW)
    scaled = grow_forest(X * [unit, 1.0], codes, 2, FEW)
    assert_array_equal(scaled.shares(X * [unit, 1.0]), plain.shares(X))
    farthest = np.array([[np.finfo(float).max, -np.finfo(float).max]])
    assert np.isfinite(scaled.shares(farthest)).all()


def test_many_classes_take_few_targets(random):
    X, codes = rows_of(random, 600, 3), random.integers(40, size=600)
    forest = grow_forest(X, codes, 40, FEW)
    assert forest.n_targets == MAX_TARGETS
    # Pure leaves share the values of their class.
    assert len(forest.values) < 60


def test_thresholds_in_single_precision_send_every_number_the_same_way(random):
    X = rows_of(random, 400, 1)
    tree = DecisionTreeClassifier(random_state=0).fit(X, random.integers(2, size=400))
    inner = tree.tree_.feature >= 0
    single = flatten(tree, class_targets(2, 0)).threshold[inner]
    for threshold, kept in zip(tree.tree_.threshold[inner], single):
        near = np.float32(threshold)
        down, up = np.float32([-np.inf, np.inf])
        for x in (near, np.nextafter(near, down), np.nextafter(near, up)):
            assert (x <= threshold) == (x <= kept)
