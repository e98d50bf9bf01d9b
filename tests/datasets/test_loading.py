"""Where a set is looked for, and what is said where it is not."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from knngraph import datasets
from knngraph.datasets.deposit import CATALOG
from tests.datasets.server import Deposit

X = np.random.default_rng(0).normal(size=(6, 5))
Y = np.array([1, 1, 2, 2, 3, 3])


def as_mat(**content):
    file = io.BytesIO()
    savemat(file, content or {"X": X, "Y": Y[:, None]})
    return file.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, and no folder named."""
    monkeypatch.delenv("KNNGRAPH_DATA", raising=False)
    monkeypatch.setenv("KNNGRAPH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_named_folder_is_all_that_is_looked_at(tmp_path, cache, monkeypatch):
    for place, value in (("argument", 1.0), ("variable", 2.0), ("cache", 3.0)):
        (tmp_path / place).mkdir()
        np.savez(tmp_path / place / "caltech.npz", X=np.full((2, 2), value), y=[0, 1])
    monkeypatch.setenv("KNNGRAPH_DATA", str(tmp_path / "variable"))
    assert datasets.load("caltech", tmp_path / "argument")[0][0, 0] == 1.0
    assert datasets.load("caltech")[0][0, 0] == 2.0
    monkeypatch.delenv("KNNGRAPH_DATA")
    assert datasets.load("caltech")[0][0, 0] == 3.0


def test_the_cache_folder(tmp_path, monkeypatch):
    assert datasets.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("KNNGRAPH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets.cache_folder() == tmp_path / "knngraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert datasets.cache_folder() == tmp_path / "home" / ".cache" / "knngraph"


def test_a_set_that_a_named_folder_lacks(tmp_path):
    with Deposit({"palm.mat": as_mat()}) as deposit:
        with pytest.raises(datasets.MissingSetError) as caught:
            datasets.load("palm", tmp_path, record_url=deposit.url)
        assert deposit.requests == []
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "put palm.mat (X, Y) or palm.npz (X, y) there" in message
    assert "KNNGRAPH_DATA" in message


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(datasets.MissingSetError, match="nowhere has no file"):
        datasets.load("palm", tmp_path / "nowhere")


def test_without_download_the_way_out_is_named():
    with pytest.raises(datasets.MissingSetError, match=r"With download=True .*zenodo"):
        datasets.load("palm", download=False)


def test_an_unknown_name():
    with pytest.raises(ValueError, match="name='iris' is not a published set; they"):
        datasets.load("iris")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("binalpha", "has 5 features, but the published set binalpha has 320"),
        ("mpeg", "has 3 classes, but the published set mpeg has 70"),
    ],
)
def test_another_set_under_a_published_name(tmp_path, name, message):
    np.savez(tmp_path / f"{name}.npz", X=X, y=Y)
    with pytest.raises(ValueError, match=message):
        datasets.load(name, tmp_path)


def test_a_downloaded_set_is_kept(cache, capsys):
    with Deposit({"caltech101_uni.mat": as_mat(), "notes.txt": b"no set"}) as deposit:
        for _ in range(2):
            rows, y = datasets.load("caltech", record_url=deposit.url)
            np.testing.assert_array_equal(rows, X)
            np.testing.assert_array_equal(y, Y)
        assert deposit.requests == [("caltech101_uni.mat", None)]
    assert [path.name for path in cache.iterdir()] == ["caltech101_uni.mat"]
    assert "fetching caltech101_uni.mat" in capsys.readouterr().err


def test_a_download_may_be_silent(capsys):
    with Deposit({"caltech.mat": as_mat()}) as deposit:
        datasets.load("caltech", record_url=deposit.url, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_set_in_an_archive(cache):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../data/Caltech.mat", as_mat())
        archive.writestr("data/readme.txt", "text")
    others = io.BytesIO()
    with zipfile.ZipFile(others, "w") as archive:
        archive.writestr("code.m", "x")
    files = {"all.zip": packed.getvalue(), "code.zip": others.getvalue()}
    with Deposit(files) as deposit:
        rows, _ = datasets.load("caltech", record_url=deposit.url, verbose=0)
    np.testing.assert_array_equal(rows, X)
    assert (cache / "Caltech.mat").exists()
    assert not (cache.parent.parent / "data").exists()


def test_an_archive_that_is_none(cache):
    with (
        Deposit({"all.zip": b"no archive"}) as deposit,
        pytest.raises(datasets.MissingSetError, match=r"all.zip is no archive"),
    ):
        datasets.load("caltech", record_url=deposit.url, verbose=0)
    assert list(cache.iterdir()) == []


def test_a_record_without_the_set():
    with (
        Deposit({"corel.mat": b"", "palm.mat": b""}) as deposit,
        pytest.raises(datasets.MissingSetError) as caught,
    ):
        datasets.load("caltech", record_url=deposit.url, verbose=0)
    assert "holds no file of caltech; it holds corel.mat, palm.mat" in str(caught.value)
    assert "put caltech.mat" in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"caltech.mat": {"links": {}}}, "does not list its files with key, size"),
        ({"caltech.mat": {"checksum": "md9:00"}}, "cannot check 'md9:00'"),
        ({"caltech.mat": {"links": {"self": "file:///etc/passwd"}}}, "of the web"),
    ],
)
def test_a_record_that_is_unclear(claims, message):
    with (
        Deposit({"caltech.mat": as_mat()}, claims=claims) as deposit,
        pytest.raises(datasets.MissingSetError, match=message),
    ):
        datasets.load("caltech", record_url=deposit.url, verbose=0)


def test_a_download_that_is_cut_goes_on_and_a_damaged_one_is_not_kept(cache):
    content = as_mat()
    with Deposit({"caltech.mat": content}, cut_after=len(content) - 9) as deposit:
        rows, _ = datasets.load("caltech", record_url=deposit.url, verbose=0)
        np.testing.assert_array_equal(rows, X)
        spans = [span for _, span in deposit.requests]
    assert spans == [None, f"bytes={len(content) - 9}-"]
    claims = {"corel.mat": {"checksum": "md5:" + 32 * "0"}}
    with (
        Deposit({"corel.mat": content}, claims=claims) as deposit,
        pytest.raises(datasets.MissingSetError) as caught,
    ):
        datasets.load("corel", record_url=deposit.url, verbose=0)
    assert f"but the deposit says {32 * '0'}; nothing was kept" in str(caught.value)
    assert "put corel.mat (X, Y) or corel.npz (X, y) there" in str(caught.value)
    assert [path.name for path in cache.iterdir()] == ["caltech.mat"]


def test_every_published_set_from_dense_and_sparse_files(tmp_path):
    random = np.random.default_rng(0)
    for name, described in CATALOG.items():
        n_classes = described.n_classes or 3
        y = np.tile(np.arange(n_classes), 2) + 1
        rows = random.integers(0, 2, size=(len(y), described.n_features or 5))
        rows = rows.astype(np.float64)
        content = {"X": sparse.csc_matrix(rows), "Y": y[:, None].astype(float)}
        for folder in ("npz", "mat", "pair"):
            (tmp_path / name / folder).mkdir(parents=True)
        np.savez(tmp_path / name / "npz" / f"{name}.npz", X=rows, y=y)
        savemat(tmp_path / name / "mat" / f"{name.title()}_uni.mat", content)
        pair = tmp_path / name / "pair"
        sparse.save_npz(pair / f"{name}_X.npz", sparse.csr_matrix(rows))
        np.save(pair / f"{name}_y.npy", y)
        for folder in ("npz", "mat", "pair"):
            found, labels = datasets.load(name, tmp_path / name / folder)
            assert sparse.issparse(found) == (folder != "npz")
            dense = found.toarray() if sparse.issparse(found) else found
            np.testing.assert_array_equal(dense, rows)
            np.testing.assert_array_equal(labels, y)


def test_a_record_that_is_not_there():
    with Deposit({}) as deposit:
        deposit.record_code = 404
        with pytest.raises(datasets.MissingSetError, match=r"404 Not Found.*put calt"):
            datasets.load("caltech", record_url=deposit.url)


def test_no_network(cache):
    with Deposit({}) as deposit:
        url = deposit.url
    with pytest.raises(datasets.MissingSetError) as caught:
        datasets.load("caltech", record_url=url)
    assert "cannot be read" in str(caught.value)
    assert f"{cache} has no file of the set caltech: put" in str(caught.value)


def test_import_opens_no_connection():
    program = (
        "import socket\n"
        "def refuse(*_): raise SystemExit('connected')\n"
        "socket.socket.connect = refuse\n"
        "import knngraph.datasets, sys\n"
        "print('knngraph.datasets' in sys.modules, 'hnswlib' in sys.modules)"
    )
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert shown.split() == ["True", "False"]
