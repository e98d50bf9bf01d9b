"""What a file of a set may look like, and what is said of one that is not fit."""

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from knngraph.datasets.deposit import CATALOG
from knngraph.datasets.loading import read_set

X = np.arange(12.0).reshape(4, 3)
Y = np.array([1, 2, 2, 1])


@pytest.mark.parametrize(
    "labels",
    [Y, Y[:, None], Y[None, :], Y.astype(float), Y.astype(np.uint8)],
    ids=["row", "column", "flat row", "doubles", "bytes"],
)
def test_labels_of_matlab_in_any_form(tmp_path, labels):
    savemat(tmp_path / "set.mat", {"X": X, "Y": labels})
    rows, y = read_set(tmp_path / "set.mat")
    np.testing.assert_array_equal(rows, X)
    assert y.tolist() == [1, 2, 2, 1]
    assert y.dtype.kind in "iu"


def test_sparse_rows_stay_sparse(tmp_path):
    savemat(tmp_path / "set.mat", {"X": sparse.csc_matrix(X), "Y": Y})
    sparse.save_npz(tmp_path / "pair_X.npz", sparse.csr_matrix(X))
    np.save(tmp_path / "pair_y.npy", Y)
    for name in ("set.mat", "pair_X.npz"):
        rows, y = read_set(tmp_path / name)
        assert rows.format == "csr"
        np.testing.assert_array_equal(rows.toarray(), X)
        np.testing.assert_array_equal(y, Y)


def test_sparse_rows_without_labels_say_where_these_go(tmp_path):
    sparse.save_npz(tmp_path / "news.npz", sparse.csr_matrix(X))
    with pytest.raises(ValueError, match=r"call it news_X.npz and .* in news_y.npy"):
        read_set(tmp_path / "news.npz")


def test_one_row_a_column_is_turned(tmp_path):
    savemat(tmp_path / "set.mat", {"X": X.T, "Y": Y})
    np.testing.assert_array_equal(read_set(tmp_path / "set.mat")[0], X)


def test_labels_that_are_words(tmp_path):
    np.savez(tmp_path / "set.npz", X=X, y=np.array(["b", "a", "a", "b"]))
    assert read_set(tmp_path / "set.npz")[1].tolist() == ["b", "a", "a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"Y": Y}, "no variable X; it holds Y"),
        ({"X": X, "labels": Y}, "no variable Y; it holds X, labels"),
        ({"X": X, "Y": np.append(Y, 1)}, "but there are 5 labels"),
        ({"X": X, "Y": np.eye(4)}, r"labels have shape \(4, 4\)"),
        ({"X": X, "Y": Y + 0.5}, "not whole numbers"),
        ({"X": np.where(X == 5, np.nan, X), "Y": Y}, "1 entries that are not finite"),
        ({"X": np.zeros((4, 3, 2)), "Y": Y}, "a table of numbers"),
        ({"X": X.astype(complex), "Y": Y}, "a table of numbers"),
        ({"X": np.zeros((0, 3)), "Y": np.zeros((0, 1))}, "one label a row"),
    ],
)
def test_content_that_is_not_fit(tmp_path, content, message):
    np.savez(tmp_path / "set.npz", **content)
    savemat(tmp_path / "set.mat", content)
    for name in ("set.npz", "set.mat"):
        with pytest.raises(ValueError, match=message):
            read_set(tmp_path / name)


@pytest.mark.parametrize("name", ["set.npz", "set.mat"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_file_that_was_cut_is_named(tmp_path, name, share):
    path = tmp_path / name
    if path.suffix == ".mat":
        savemat(path, {"X": np.tile(X, (50, 1)), "Y": np.tile(Y, 50)})
    else:
        np.savez(path, X=X, y=Y)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        read_set(path)


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "set.npz", X=X, y=np.array([{}, 1, 2, 3], dtype=object))
    with pytest.raises(ValueError, match=r"is damaged or no .npz file"):
        read_set(tmp_path / "set.npz")


def test_labels_beside_sparse_rows_may_be_missing(tmp_path):
    sparse.save_npz(tmp_path / "pair_X.npz", sparse.csr_matrix(X))
    with pytest.raises(ValueError, match=r"needs its labels beside it, in pair_y.npy"):
        read_set(tmp_path / "pair_X.npz")


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("binalpha", "binalpha.npz"),
        ("binalpha", "binalpha_uni.mat"),
        ("palm", "Palm.mat"),
        ("news", "20news_uni.mat"),
        ("news", "news_X.npz"),
        ("corel", "Corel5k.MAT"),
        ("mpeg", "mpeg7.mat"),
        ("caltech", "caltech101.mat"),
    ],
)
def test_names_of_published_files(name, file_name):
    owners = [n for n, described in CATALOG.items() if described.is_named_by(file_name)]
    assert owners == [name]


@pytest.mark.parametrize(
    "file_name",
    [
        "mpeg7_bbox32_derived.npz",
        "caltech101_sil16_derived.npz",
        "palm.mat.part",
        "palm.zip",
        "palmprint.mat",
        "news_y.npy",
    ],
)
def test_names_of_other_files(file_name):
    assert not any(d.is_named_by(file_name) for d in CATALOG.values())


def test_the_plain_name_comes_first():
    best_of = CATALOG["palm"].best_of
    assert best_of(["Palm_uni.mat", "palm.mat", "palm.npz"]) == "palm.npz"
    assert best_of(["Palm_uni.mat", "palm100.mat", "other.mat"]) == "palm100.mat"
    assert best_of(["other.mat"]) is None
