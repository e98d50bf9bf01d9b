"""One net from its first weights to its last test: what a worker does."""

import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.convnn.images import averaged, read_images
from benchmarks.convnn.nets import build_net
from benchmarks.convnn.plans import Job, Recipe, Run

_TEST_BATCH = 500


class Rows(NamedTuple):
    """Images and classes on the device.

    Parameters
    ----------
    X : Tensor of shape (n_rows, 3, side, side)
    y : Tensor of shape (n_rows,)
    """

    X: Tensor
    y: Tensor


def train(job: Job) -> dict[str, float] | None:
    """Train a net and test it; None where the time does not reach for that.

    Returns
    -------
    dict of str to float
        `accuracy` and `test_loss` of the last epoch, `train_loss` and `train_accuracy`
        as means over the steps of the last epoch, with dropout; `best_accuracy` of the
        epochs that were tested, and those epochs themselves; `parameters`; seconds.
    """
    run, recipe = job.run, job.recipe
    training, test = rows_of(job)
    started, cpu = time.perf_counter(), time.process_time()
    # First the seed, then the weights: nets of one seed start alike.
    torch.manual_seed(run.seed)
    model = build_net(run, job.size, job.side).to(job.device)
    order = torch.Generator().manual_seed(run.seed)
    batch = min(recipe.batch, len(training.y))
    n_steps = len(training.y) // batch
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.rate,
        weight_decay=recipe.decay,
        fused=True,
    )
    scheduler = scheduler_of(optimizer, recipe, n_steps)
    found: dict[str, float] = {}
    best = 0.0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        losses, hits = [], []
        shuffled = torch.randperm(len(training.y), generator=order).to(job.device)
        for part in shuffled[: n_steps * batch].split(batch):
            X, y = training.X[part], training.y[part]
            with precision_of(run, job.device):
                scores = model(X)
            loss = F.cross_entropy(scores.float(), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            scheduler.step()
            losses.append(loss.detach())
            hits.append((scores.detach().argmax(dim=1) == y).float().mean())
        if epoch % job.evaluate_every == 0 or epoch == recipe.epochs:
            accuracy, test_loss = evaluate(model, test, run, job.device)
            best = max(best, accuracy)
            found |= {
                f"accuracy_{epoch}": accuracy,
                f"test_loss_{epoch}": test_loss,
                f"train_loss_{epoch}": torch.stack(losses).mean().item(),
            }
        if epoch == 1:
            # The first epoch also loads and compiles: it says too much of the others.
            first = time.time()
        pace = (time.time() - first) / max(epoch - 1, 1)
        if time.time() + pace * (recipe.epochs - epoch) > job.deadline:
            return None
    found |= {
        "accuracy": accuracy,
        "best_accuracy": best,
        "test_loss": test_loss,
        "train_loss": torch.stack(losses).mean().item(),
        "train_accuracy": torch.stack(hits).mean().item(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - started,
    }
    return found


def scheduler_of(
    optimizer: torch.optim.Optimizer, recipe: Recipe, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate over the steps."""
    if recipe.schedule == "step":
        return torch.optim.lr_scheduler.StepLR(optimizer, 2 * n_steps, gamma=0.95)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.rate,
        total_steps=n_steps * recipe.epochs,
        cycle_momentum=False,
    )


def precision_of(run: Run, device: str) -> torch.autocast:
    """Autocast to the precision of the run."""
    reduced = run.precision == "bfloat16"
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=reduced)


@torch.inference_mode()
def evaluate(
    model: nn.Module, rows: Rows, run: Run, device: str
) -> tuple[float, float]:
    """Accuracy and mean cross-entropy over rows."""
    model.eval()
    hits = losses = 0.0
    for X, y in zip(rows.X.split(_TEST_BATCH), rows.y.split(_TEST_BATCH)):
        with precision_of(run, device):
            scores = model(X).float()
        hits += (scores.argmax(dim=1) == y).sum().item()
        losses += F.cross_entropy(scores, y, reduction="sum").item()
    return hits / len(rows.y), losses / len(rows.y)


def rows_of(job: Job) -> tuple[Rows, Rows]:
    """Training and test rows of a job; the seed draws the training rows.

    Channels are scaled by the mean and the standard deviation of all training rows.
    """
    X_train, y_train, X_test, y_test = _on_device(
        job.data, job.folder, job.side, job.device
    )
    n_rows = len(y_train)
    chosen = slice(None)
    if 0 < job.n_train < n_rows:
        drawn = np.random.default_rng(job.run.seed).permutation(n_rows)[: job.n_train]
        chosen = torch.as_tensor(np.sort(drawn), device=job.device)
    n_test = job.n_test or len(y_test)
    return Rows(X_train[chosen], y_train[chosen]), Rows(
        X_test[:n_test], y_test[:n_test]
    )


@lru_cache(maxsize=1)
def _on_device(
    data: str, folder: Path | None, side: int, device: str
) -> tuple[Tensor, ...]:
    """All rows, read once a worker."""
    found = read_images(data, folder)
    train, test = averaged(found.X_train, side), averaged(found.X_test, side)
    mean = train.mean(axis=(0, 2, 3), keepdims=True)
    scale = train.std(axis=(0, 2, 3), keepdims=True)
    arrays = (
        (train - mean) / scale,
        found.y_train,
        (test - mean) / scale,
        found.y_test,
    )
    return tuple(torch.as_tensor(array, device=device) for array in arrays)
