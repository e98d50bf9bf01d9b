"""The nets of the benchmark: sizes, steps, one epoch of the large preset, and again."""

import math
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from benchmarks.convnn.images import SAMPLE  # noqa: E402
from benchmarks.convnn.nets import build_net  # noqa: E402
from benchmarks.convnn.outcomes import read_outcomes  # noqa: E402
from benchmarks.convnn.plans import FULL, PRESETS, Job, Recipe, Run  # noqa: E402
from benchmarks.convnn.training import train  # noqa: E402
from benchmarks.run import main  # noqa: E402

TINY = PRESETS["cpu"].size.scaled(0.25)
HYBRID = {"compared": "hybrid", "gathered": "hybrid"}
RUNS = {
    "plain": Run(mixer="plain"),
    "convolution": Run(),
    "branched": Run(ratio=0.5, **HYBRID),
    "chosen": Run(ratio=1.0),
    "one neighbor": Run(ratio=0.5, n_neighbors=1),
    "random": Run(ratio=0.5, candidates="random", n_candidates=16),
    "grid": Run(ratio=0.5, candidates="grid", n_candidates=16),
    "attention": Run(net="vit", mixer="attention", n_neighbors=0),
    "top-k attention": Run(net="vit", mixer="top-k attention"),
    "convnn": Run(net="vit", mixer="convnn"),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Other tests get back the threads that they had."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path, random):
    """A folder with a sample of images with shades for classes."""
    y = np.arange(96) % 10
    noise = random.integers(0, 50, (96, 32, 32, 3))
    X = (20 * y[:, None, None, None] + noise).astype(np.uint8)
    np.savez(tmp_path / SAMPLE, X=X, y=y.astype(np.uint8), n_train=64)
    return tmp_path


def job(run, folder, epochs=2, deadline=math.inf):
    return Job(
        run=run,
        recipe=Recipe(1e-3, 0.01, epochs, 16, "one cycle", clip=1.0),
        size=TINY,
        data="sample",
        folder=folder,
        side=16,
        n_train=48,
        n_test=0,
        evaluate_every=1,
        device="cpu",
        deadline=deadline,
    )


@pytest.mark.parametrize(
    ("run", "millions"),
    [
        # Published: 130.015 with the 1 x 1 convolutions; 128.813 is of VGG-11 itself.
        (Run(), 130.015),
        (Run(ratio=0.5), 130.015),
        (Run(mixer="plain"), 128.813),
    ],
    ids=["ratio 0", "ratio 0.5", "plain"],
)
def test_vgg11_has_the_published_parameters(run, millions):
    with torch.device("meta"):
        model = build_net(run, FULL, 32)
    found = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    # Maps of 2 x 2 have 4 neighbors here and 9 there, 5 of which are padding.
    lacking = 2 * 5 * 256 * 512 / 1e6 if run.ratio else 0.0
    assert found + lacking == pytest.approx(millions, abs=1.1e-3)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_steps_lower_the_loss(run, random):
    torch.manual_seed(0)
    model = build_net(run, TINY, 16)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    X = torch.as_tensor(random.normal(size=(32, 3, 16, 16)), dtype=torch.float32)
    y = torch.as_tensor(random.integers(0, 10, 32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in model.parameters())


def test_a_seed_gives_the_same_figures(folder):
    run = RUNS["random"]
    first, second = (train(job(run, folder)) for _ in range(2))
    times = ("seconds", "cpu_seconds")
    assert {n: v for n, v in first.items() if n not in times} == {
        n: v for n, v in second.items() if n not in times
    }
    assert {"accuracy_1", "accuracy_2", "test_loss", "train_loss"} <= set(first)
    other = train(job(Run(**(vars(run) | {"seed": 1})), folder))
    assert other["test_loss"] != first["test_loss"]


def test_a_net_that_cannot_end_in_time_is_given_up(folder):
    started = time.time()
    assert train(job(Run(), folder, epochs=10_000, deadline=started + 1)) is None
    assert time.time() - started < 10


def test_an_epoch_of_the_large_preset_once(folder, capsys):
    arguments = [
        *("convnn", "--preset", "full", "--data", "sample", "--data-dir", str(folder)),
        *("--parts", "few", "--recipes", "poster", "--seeds", "1", "--epochs", "1"),
        *("--rows", "16", "--test-rows", "16", "--width", "0.1", "--workers", "1"),
        *("--output", str(folder / "out")),
    ]
    assert main([*arguments, "--no-report"]) == 0
    assert "4/4 vgg branched ratio 1" in capsys.readouterr().out
    assert len(read_outcomes(folder / "out" / "full.csv").rows) == 4
    assert main([*arguments, "--no-report"]) == 0
    assert "4 nets are there, 0 to train" in capsys.readouterr().out
