"""A model in a folder: the same answers anywhere, and nothing that is damaged."""

import os
import pickle

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

from knngraph import KNNGraphClassifier, SavedModelError, save
from knngraph.distributed import DaskKNNGraphClassifier
from tests.distributed.data import queries, rows_with_copies, wrong_labels


def fit(local_rows=0, n_partitions=3, labels=None, metric="euclidean"):
    X, y = rows_with_copies(250)
    y = wrong_labels(y) if labels is None else labels(y)
    estimator = KNNGraphClassifier(
        random_state=0, ef=16, inference="cascade", metric=metric
    )
    far = DaskKNNGraphClassifier(
        estimator, n_partitions=n_partitions, local_rows=local_rows
    )
    return far.fit(da.from_array(X, chunks=(90, -1)), da.from_array(y, chunks=90))


def assert_same_answers(one, other):
    Q, _ = queries()
    for inference in ("lookup", "adaptive", "cascade"):
        one.set_params(estimator__inference=inference)
        other.set_params(estimator__inference=inference)
        np.testing.assert_array_equal(one.predict_proba(Q), other.predict_proba(Q))
        np.testing.assert_array_equal(one.predict(Q), other.predict(Q))


@pytest.mark.parametrize("metric", ["euclidean", "trees"])
@pytest.mark.parametrize("local_rows", [0, 1000], ids=["partitions", "whole"])
def test_a_folder_holds_the_model_to_the_bit(tmp_path, local_rows, metric):
    far = fit(local_rows, metric=metric)
    far.save(tmp_path / "model")
    loaded = DaskKNNGraphClassifier.load(tmp_path / "model")
    assert_same_answers(far, loaded)
    assert loaded.partition_sizes_.tolist() == far.partition_sizes_.tolist()
    assert loaded.loo_score_ == far.loo_score_
    np.testing.assert_array_equal(loaded.to_local().labels_, far.to_local().labels_)
    assert loaded.get_params()["estimator__ef"] == 16


def test_a_model_moves_to_another_cluster(tmp_path):
    Q, _ = queries()
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        far = fit(labels=lambda y: np.array([f"digit {code}" for code in y]))
        expected = far.predict_proba(Q)
        far.save(tmp_path)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        elsewhere = DaskKNNGraphClassifier.load(tmp_path)
        np.testing.assert_array_equal(elsewhere.predict_proba(Q), expected)
        # Neither came nor goes through a pickle.
        with pytest.raises(TypeError, match=r"save\(folder\) keeps it"):
            pickle.dumps(elsewhere)
    with dask.config.set(scheduler="threads"):
        here = DaskKNNGraphClassifier.load(tmp_path)
        np.testing.assert_array_equal(here.predict_proba(Q), expected)
        assert here.classes_[0] == "digit 0"


def test_a_folder_is_replaced_by_a_newer_model(tmp_path):
    fit(n_partitions=3).save(tmp_path)
    newer = fit(n_partitions=2)
    newer.save(tmp_path)
    assert len(list(tmp_path.glob("part-*"))) == 2
    assert_same_answers(DaskKNNGraphClassifier.load(tmp_path), newer)


@pytest.mark.parametrize("local_rows", [0, 1000], ids=["partitions", "whole"])
def test_damaged_and_missing_files_are_refused_by_name(tmp_path, local_rows):
    fit(local_rows).save(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == (4 if local_rows == 0 else 2)
    for path in files:
        content = path.read_bytes()
        for place in (3, len(content) // 2, len(content) - 70):
            damaged = bytearray(content)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(SavedModelError, match=path.name):
                DaskKNNGraphClassifier.load(tmp_path)
        path.write_bytes(content[:-100])
        with pytest.raises(SavedModelError, match=path.name):
            DaskKNNGraphClassifier.load(tmp_path)
        os.unlink(path)
        with pytest.raises(SavedModelError, match=f"{path.name}.*is missing"):
            DaskKNNGraphClassifier.load(tmp_path)
        path.write_bytes(content)
    DaskKNNGraphClassifier.load(tmp_path)


def test_parts_of_different_models_do_not_mix(tmp_path):
    fit().save(tmp_path / "one")
    fit().save(tmp_path / "other")
    mine, theirs = (sorted((tmp_path / n).glob("part-*"))[0] for n in ("one", "other"))
    mine.write_bytes(theirs.read_bytes())
    with pytest.raises(SavedModelError, match=r"part-00000.* a part of another model"):
        DaskKNNGraphClassifier.load(tmp_path / "one")
    save(KNNGraphClassifier(), tmp_path / "one" / "shared.knngraph")
    with pytest.raises(SavedModelError, match="holds no DaskKNNGraphClassifier"):
        DaskKNNGraphClassifier.load(tmp_path / "one")
