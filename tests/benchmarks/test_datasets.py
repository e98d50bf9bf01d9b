"""How the benchmarks take their sets."""

import numpy as np
import pytest
from scipy import sparse

from benchmarks.datasets import load, split

X = np.arange(24.0).reshape(8, 3) + 1.0
Y = np.array([3, 3, 3, 3, 7, 7, 7, 7])


def test_a_set_by_the_name_of_its_file(tmp_path):
    np.savez(tmp_path / "own.npz", X=X.astype(np.float32), y=Y)
    rows, codes = load("own", tmp_path)
    np.testing.assert_array_equal(rows, X)
    assert codes.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_sparse_rows_become_dense_rows_of_unit_length(tmp_path):
    sparse.save_npz(tmp_path / "words_X.npz", sparse.csr_array(X))
    np.save(tmp_path / "words_y.npy", Y)
    rows, _ = load("words", tmp_path)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    np.testing.assert_allclose(rows * np.linalg.norm(X, axis=1)[:, None], X)


def test_only_text_among_the_published_sets_is_scaled(tmp_path):
    np.savez(tmp_path / "caltech.npz", X=X, y=Y)
    np.testing.assert_array_equal(load("caltech", tmp_path)[0], X)
    words = np.ones((4, 8014))
    np.savez(tmp_path / "news.npz", X=words, y=[0, 0, 1, 1])
    np.testing.assert_allclose(load("news", tmp_path)[0], words / np.sqrt(8014))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds none of own.npz, own_X.npz"):
        load("own", tmp_path)
    with pytest.raises(FileNotFoundError, match="name the folder"):
        load("own", None)
    with pytest.raises(FileNotFoundError, match=r"put palm.mat"):
        load("palm", tmp_path)


def test_folds_are_stratified_and_always_the_same():
    first = list(split(X, Y, 4, scaled=False))
    again = list(split(X, Y, 4, scaled=False))
    assert len(first) == 4
    for (X_train, y_train, X_test, y_test), other in zip(first, again):
        assert sorted(y_test) == [3, 7]
        assert len(X_train) == len(y_train) == 6
        np.testing.assert_array_equal(X_test, other[2])


def test_the_scaler_sees_training_rows_alone():
    for X_train, _, X_test, _ in split(X, Y, 4, scaled=True):
        np.testing.assert_allclose(X_train.mean(axis=0), 0.0, atol=1e-12)
        assert np.abs(X_test.mean(axis=0)).max() < 3.0
