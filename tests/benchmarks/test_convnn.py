"""Trained nets: which, on what, what a stopped run leaves, and the report; no torch."""

import argparse
import io
import pickle
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.convnn import run_convnn
from benchmarks.convnn.convnn_report import make_report
from benchmarks.convnn.images import SAMPLE, averaged, read_images
from benchmarks.convnn.orders import HOLDS, ONE_SEED, OPEN, REVERSED, orders, verdict
from benchmarks.convnn.outcomes import Estimate, Outcomes, Published, read_outcomes
from benchmarks.convnn.plans import KEY, PRESETS, RATIOS, Run
from benchmarks.run import main

VALUES = {
    "accuracy": 0.5,
    "best_accuracy": 0.6,
    "test_loss": 1.5,
    "train_loss": 1.0,
    "parameters": 2e5,
    "seconds": 7.0,
}


def options(folder, *others):
    """Options of the command, as the command line has them."""
    found = argparse.ArgumentParser()
    run_convnn.add_arguments(found)
    found.set_defaults(data_dir=None)
    return found.parse_args(["--output", str(folder), *others])


def journal(folder, *others):
    """An empty file of figures of the preset for a CPU."""
    said = options(folder, *others)
    preset = run_convnn.chosen_preset(said)
    conditions = run_convnn.conditions(preset, said, (10_000, 2000))
    return run_convnn.Journal(folder / "cpu.csv", KEY, conditions, "seconds")


def outcomes_of(accuracies):
    """Outcomes of runs: accuracy by run, a value a seed."""
    rows = [
        {name: getattr(run, name) for name in KEY}
        | VALUES
        | {"seed": seed, "accuracy": value}
        for run, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return Outcomes(pd.DataFrame(rows), {"recipes": "low rate: step"})


@pytest.mark.parametrize("name", PRESETS)
def test_the_first_round_of_a_preset_has_every_run_and_none_twice(name):
    preset = PRESETS[name]
    runs = preset.runs(list(preset.parts), range(2), "float32")
    assert len(runs) == len({run.key() for run in runs})
    half = len(runs) // 2
    assert {run.seed for run in runs[:half]} == {0}
    assert [replace(run, seed=0) for run in runs[half:]] == runs[:half]
    assert {run.recipe for run in runs} == set(preset.recipes)
    asked = {
        (run.compared, run.gathered, run.ratio) for run in runs if run.net == "vgg"
    }
    for mode in (
        ("features", "features"),
        ("hybrid", "features"),
        ("hybrid", "hybrid"),
    ):
        assert {(*mode, ratio) for ratio in RATIOS[1:]} <= asked
    assert any(run.n_neighbors == 1 for run in runs)
    assert {"random", "grid"} <= {run.candidates for run in runs}
    assert {"attention", "top-k attention", "convnn"} <= {run.mixer for run in runs}


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    said = options(tmp_path, "--parts", "rates", "--seeds", "1")
    jobs = run_convnn.jobs_of(run_convnn.chosen_preset(said), said, np.inf)
    trained = []

    def here(missing, n_workers):
        for job in missing:
            if len(trained) == 2:
                raise KeyboardInterrupt
            trained.append(job.run)
            yield job, dict(VALUES)

    monkeypatch.setattr(run_convnn, "_trained", here)
    with pytest.raises(KeyboardInterrupt):
        run_convnn.train_all(journal(tmp_path), jobs, 1)
    path = tmp_path / "cpu.csv"
    # What was being written when the machine went down.
    path.write_bytes(path.read_bytes()[:-3])
    assert len(journal(tmp_path).keys()) == 1
    trained.clear()
    trained.append(None)
    with pytest.raises(KeyboardInterrupt):
        run_convnn.train_all(journal(tmp_path), jobs, 1)
    assert trained[1:] == [jobs[1].run]
    trained[:] = [None] * 3
    assert run_convnn.train_all(journal(tmp_path), jobs, 1)
    assert trained[3:] == [job.run for job in jobs[2:]]
    assert run_convnn.train_all(journal(tmp_path), jobs, 1)
    assert "5 nets are there, 0 to train" in capsys.readouterr().out
    assert len(read_outcomes(path).rows) == 5


def test_a_net_that_fails_is_told_and_the_others_are_kept(
    tmp_path, monkeypatch, capsys
):
    said = options(tmp_path, "--parts", "rates", "--seeds", "1")
    jobs = run_convnn.jobs_of(run_convnn.chosen_preset(said), said, np.inf)[:3]
    answers = [ValueError("no such layer"), None, dict(VALUES)]
    monkeypatch.setattr(run_convnn, "_trained", lambda *_: zip(jobs, answers))
    assert not run_convnn.train_all(journal(tmp_path), jobs, 1)
    out = capsys.readouterr().out
    assert "failed: vgg branched ratio 0 " in out
    assert "no such layer" in out
    assert "not done in time: vgg branched ratio 0.25" in out
    assert journal(tmp_path).keys() == {jobs[2].run.key()}


def test_figures_of_two_recipes_do_not_mix(tmp_path):
    journal(tmp_path).append(Run().key(), VALUES)
    with pytest.raises(SystemExit, match="recipes"):
        journal(tmp_path, "--epochs", "3")


def test_a_report_of_two_nets(tmp_path):
    found = journal(tmp_path)
    found.append(Run(precision="float32").key(), VALUES)
    better = VALUES | {"accuracy": 0.55}
    found.append(Run(precision="float32", ratio=0.25).key(), better)
    arguments = ["convnn", "--report-only", "--output", str(tmp_path)]
    assert main(arguments) == 0
    text = (tmp_path / "report.md").read_text()
    assert "| 0.25 | 55.00 (1.50) | 74.32 (1.56) | - | 74.20 (1.52) |" in text
    order = "| ratio 0.25 to convolution (ratio 0) | +4.54 (Table 1) | +5.00 | - | one"
    assert order in text
    assert "of 2 published orders 2 were tried with one seed" in text
    # What was not measured has no part of its own.
    headings = re.findall("^#+ (.*)", text, re.MULTILINE)
    assert [x for x in headings if re.search("control|Cand|ViT$|Prec|GPU", x)] == []
    assert (tmp_path / "figures" / "convnn-cpu-ratios-1.svg").exists()
    assert "<svg" in (tmp_path / "report.html").read_text()


def test_a_report_of_everything(tmp_path):
    found = journal(tmp_path)
    preset = PRESETS["cpu"]
    for i, run in enumerate(preset.runs(list(preset.parts), range(2), "float32")):
        found.append(run.key(), VALUES | {"accuracy": 0.5 + 0.01 * (i % 7)})
    text = make_report({"cpu": read_outcomes(found.path)}).markdown()
    for heading in (
        "Ratios",
        "Learning rates",
        "control",
        "### Candidates",
        "Attention",
    ):
        assert heading in text
    assert "nan" not in text
    assert "| 16 | " in text
    assert "ConvNN, K = 9, 32 random |" in text


def test_no_report_without_figures(tmp_path, capsys):
    assert main(["convnn", "--report-only", "--output", str(tmp_path)]) == 1
    assert "nothing to report" in capsys.readouterr().out


def test_an_order_holds_where_the_whole_interval_says_so():
    three = {"n_seeds": 3, "freedom": 30}
    assert verdict(4.0, Estimate(2.0, 0.5, **three)) == HOLDS
    assert verdict(-4.0, Estimate(2.0, 0.5, **three)) == REVERSED
    assert verdict(4.0, Estimate(0.5, 0.5, **three)) == OPEN
    assert verdict(4.0, Estimate(2.0, np.nan, 1, 0)) == ONE_SEED
    assert verdict(4.0, Estimate(np.nan, np.nan, 0, 0)) == ""


def test_a_difference_is_between_nets_of_one_seed():
    # A seed adds the same to every net, but for a spread of three nets by hand.
    runs = [Run(), Run(ratio=0.5), Run(ratio=1.0)]
    found = outcomes_of(dict(zip(runs, ([0.5, 0.6], [0.6, 0.7], [0.4, 0.52]))))
    gain = found.difference("accuracy", runs[1], runs[0])
    assert gain.mean == pytest.approx(0.1)
    assert gain.n_seeds == 2
    # Left over are -1/300, -1/300 and 2/300, with either sign, over 2 degrees.
    left = np.array([-1, -1, 2, 1, 1, -2]) / 300
    assert gain.error == pytest.approx(np.sqrt((left**2).sum() / 2))
    assert gain.freedom == 2


def test_published_orders_are_those_of_the_tables():
    published = {order.name: order.published for order in orders(["a", "good rate"])}
    assert all(np.isfinite(list(published.values())))
    assert published["ratio 0.25 to convolution (ratio 0)"] == pytest.approx(4.54)
    nine = "9 neighbors to 1 (the position itself), ratio 0.5"
    assert published[nine] == pytest.approx(0.4)
    assert Published().of("test_loss", Run(ratio=0.5), rate="1e-05") == 1.23
    assert np.isnan(Published().of("accuracy", Run(ratio=0.375), rate="1e-05"))


@pytest.fixture
def pixels(random):
    """Images and labels: five training batches of two rows, and a test batch."""
    X = random.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    return X, np.arange(12) % 10


def check_images(found, pixels):
    X, y = pixels
    assert np.array_equal(found.X_train, X[:10])
    assert np.array_equal(found.X_test, X[10:])
    assert found.y_train.tolist() == y[:10].tolist()
    assert found.y_test.tolist() == y[10:].tolist()


def names_of_batches(end=""):
    return [*(f"data_batch_{i}{end}" for i in range(1, 6)), f"test_batch{end}"]


def test_binary_batches(tmp_path, pixels):
    X, y = pixels
    rows = np.hstack([y[:, None].astype(np.uint8), X.reshape(12, -1)])
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i, name in enumerate(names_of_batches(".bin")):
        rows[2 * i : 2 * i + 2].tofile(folder / name)
    check_images(read_images("cifar10", tmp_path), pixels)
    check_images(read_images("cifar10", folder), pixels)
    (folder / "test_batch.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match="3 bytes, which is no multiple of 3073"):
        read_images("cifar10", folder)


def test_pickled_batches_and_nothing_but_arrays(tmp_path, pixels):
    X, y = pixels
    for i, name in enumerate(names_of_batches()):
        part = slice(2 * i, 2 * i + 2)
        batch = {b"data": X[part].reshape(2, -1), b"labels": y[part].tolist()}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol=2))
    check_images(read_images("cifar10", tmp_path), pixels)
    (tmp_path / "test_batch").write_bytes(pickle.dumps(print))
    with pytest.raises(pickle.UnpicklingError, match="print is no part of a batch"):
        read_images("cifar10", tmp_path)


def test_a_sample_of_jpeg_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    files = []
    for level in (10, 200, 90):
        file = io.BytesIO()
        image.new("RGB", (32, 32), (level, level, level)).save(file, "JPEG")
        files.append(file.getvalue())
    np.savez(
        tmp_path / SAMPLE,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        y=np.array([3, 1, 2], np.uint8),
        n_train=2,
    )
    found = read_images("sample", tmp_path)
    assert found.X_train.shape == (2, 3, 32, 32)
    assert found.X_test.mean() == pytest.approx(90, abs=2)
    assert found.y_train.tolist() == [3, 1]


@pytest.mark.parametrize("data", ["sample", "cifar10"])
def test_images_that_are_not_there(tmp_path, data, monkeypatch):
    # Nothing is downloaded in a test.
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    for folder in (None, tmp_path):
        with pytest.raises(FileNotFoundError, match="--data-dir"):
            read_images(data, folder)
    with pytest.raises(SystemExit, match="--data-dir"):
        main(["convnn", "--data", data, "--data-dir", str(tmp_path)])


def test_images_are_averaged_over_squares(pixels):
    X, _ = pixels
    found = averaged(X, 16)
    assert found.shape == (12, 3, 16, 16)
    assert found[0, 0, 0, 1] == pytest.approx(X[0, 0, :2, 2:4].mean() / 255)
    assert np.array_equal(averaged(X, 32), X / np.float32(255))
    with pytest.raises(ValueError, match="size=20 does not divide"):
        averaged(X, 20)
