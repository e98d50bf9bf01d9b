"""The command `convnn`: nets with convolutions over chosen neighbors, trained.

It goes on where it was stopped: a finished net is in the file and not trained again.
"""

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.convnn.images import read_images
from benchmarks.convnn.plans import KEY, PRESETS, Job, Preset, Run
from benchmarks.isolated import ONE_THREAD, end_with_parent
from benchmarks.rows import Journal

ROOT = Path(__file__).resolve().parent.parent
LAST_METRIC = "seconds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--preset",
        choices=list(PRESETS),
        default="cpu",
        help="a small net at 16 x 16 in less than an hour, or VGG-11 at 32 x 32",
    )
    parts = list(dict.fromkeys(p for one in PRESETS.values() for p in one.parts))
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=parts,
        help="questions, the most important first (default: all of the preset)",
    )
    parser.add_argument("--recipes", nargs="+", help="only runs of these recipes")
    parser.add_argument("--epochs", type=int, help="instead of those of the recipes")
    parser.add_argument("--rate", type=float, help="learning rate, likewise")
    parser.add_argument("--batch", type=int, help="rows a step, likewise")
    parser.add_argument("--size", type=int, help="side of the images")
    parser.add_argument("--data", choices=["sample", "cifar10"])
    parser.add_argument("--rows", type=int, help="training rows; 0 is all")
    parser.add_argument("--test-rows", type=int, help="test rows; 0 is all")
    parser.add_argument(
        "--width", type=float, default=1.0, help="factor of the widths of the nets"
    )
    parser.add_argument("--seeds", type=int, help="number of seeds, from 0 on")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        help="of products (default: bfloat16 on cuda, float32 elsewhere)",
    )
    parser.add_argument("--workers", type=int, default=2, help="nets at a time")
    parser.add_argument(
        "--seconds",
        type=float,
        default=math.inf,
        help="when to stop; what is there stays",
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "results" / "convnn", help="folder"
    )
    parser.add_argument("--no-report", action="store_true", help="train only")
    parser.add_argument(
        "--report-only", action="store_true", help="train nothing, write the report"
    )
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="copy the report to docs/convnn-nets.md",
    )


def run(options: argparse.Namespace) -> int:
    """Train what is missing, then write the report of all presets in the folder."""
    if not options.report_only:
        started = time.time()
        preset = chosen_preset(options)
        jobs = jobs_of(preset, options, started + options.seconds)
        # Here, so that a set is downloaded once and what lacks is told at once.
        try:
            images = read_images(preset.data, options.data_dir)
        except (FileNotFoundError, ImportError, ValueError) as error:
            raise SystemExit(str(error)) from None
        n_rows = len(images.y_train), len(images.y_test)
        journal = Journal(
            options.output / f"{options.preset}.csv",
            KEY,
            conditions(preset, options, n_rows),
            LAST_METRIC,
        )
        if not train_all(journal, jobs, options.workers):
            return 1
    if options.no_report:
        return 0
    return write_report(options.output, write_docs=options.write_docs)


def chosen_preset(options: argparse.Namespace) -> Preset:
    """The preset with what the options change."""
    preset = PRESETS[options.preset]
    own = {"epochs": options.epochs, "rate": options.rate, "batch": options.batch}
    own = {name: value for name, value in own.items() if value is not None}
    preset = replace(
        preset,
        size=preset.size.scaled(options.width),
        recipes={name: replace(r, **own) for name, r in preset.recipes.items()},
    )
    others = {
        "side": options.size,
        "data": options.data,
        "n_train": options.rows,
        "n_test": options.test_rows,
        "seeds": options.seeds,
    }
    return replace(preset, **{n: v for n, v in others.items() if v is not None})


def jobs_of(preset: Preset, options: argparse.Namespace, deadline: float) -> list[Job]:
    """What is to be trained, the most important first."""
    lacking = set(options.parts or ()) - set(preset.parts)
    if lacking:
        raise SystemExit(
            f"--parts {' '.join(sorted(lacking))}: the preset {options.preset} has "
            f"{', '.join(preset.parts)}."
        )
    usual = "bfloat16" if options.device.startswith("cuda") else "float32"
    runs = preset.runs(
        options.parts or list(preset.parts),
        range(preset.seeds),
        options.precision or usual,
    )
    return [
        Job(
            run=one,
            recipe=preset.recipes[one.recipe],
            size=preset.size,
            data=preset.data,
            folder=options.data_dir,
            side=preset.side,
            n_train=preset.n_train,
            n_test=preset.n_test,
            evaluate_every=preset.evaluate_every,
            device=options.device,
            deadline=deadline,
        )
        for one in runs
        if not options.recipes or one.recipe in options.recipes
    ]


def conditions(
    preset: Preset, options: argparse.Namespace, n_rows: tuple[int, int]
) -> dict[str, Any]:
    """What must not change within a file."""
    size = preset.size
    card = ""
    if options.device.startswith("cuda"):
        import torch

        card = torch.cuda.get_device_name(options.device)
    return machine.conditions() | {
        "torch": machine.version_of("torch") or "",
        "device": card or options.device,
        "data": preset.data,
        "side": preset.side,
        "n_train": min(preset.n_train or n_rows[0], n_rows[0]),
        "n_test": min(preset.n_test or n_rows[1], n_rows[1]),
        "vgg": f"{' '.join(map(str, size.channels))}, {size.pooled}, {size.hidden}",
        "vit": f"{size.patch} {size.width} {size.depth} {size.heads}",
        "recipes": "; ".join(
            f"{name}: {r.schedule}, {r.rate:g}, {r.decay:g}, {r.epochs}, {r.batch}"
            for name, r in preset.recipes.items()
        ),
    }


def train_all(journal: Journal, jobs: Sequence[Job], n_workers: int) -> bool:
    """Train what the file lacks, and write every net as it is done.

    Returns
    -------
    bool
        Whether none failed; one that did is tried again by the next call.
    """
    before = journal.keys()
    missing = [job for job in jobs if job.run.key() not in before]
    print(f"{len(jobs) - len(missing)} nets are there, {len(missing)} to train.")
    n_done, fine = 0, True
    for job, found in _trained(missing, n_workers) if missing else ():
        if isinstance(found, Exception):
            fine = False
            print(f"failed: {in_short(job.run)}: {found}", flush=True)
        elif found is None:
            print(f"not done in time: {in_short(job.run)}", flush=True)
        else:
            n_done += 1
            journal.append(job.run.key(), found)
            print(
                f"{n_done:4}/{len(missing)} {in_short(job.run)}: accuracy "
                f"{100 * found['accuracy']:.2f}, loss {found['test_loss']:.3f} "
                f"(training {found['train_loss']:.3f}), {found['seconds']:.1f} s",
                flush=True,
            )
    return fine


def _trained(
    jobs: Sequence[Job], n_workers: int
) -> Iterator[tuple[Job, dict[str, float] | Exception | None]]:
    """Jobs with what they gave, in the order in which they end."""
    workers = ProcessPoolExecutor(
        min(n_workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
    )
    try:
        of_future = {workers.submit(_train, job): job for job in jobs}
        for future in as_completed(of_future):
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                raise SystemExit(f"a worker ended early: {error}")
            failed = isinstance(error, Exception)
            yield of_future[future], error if failed else future.result()
    finally:
        workers.shutdown(cancel_futures=True)


def _begin() -> None:
    """Before a worker loads torch, which reads the variables once."""
    os.environ.update(ONE_THREAD)
    end_with_parent()


def _train(job: Job) -> dict[str, float] | None:
    """In a worker."""
    if time.time() > job.deadline:
        return None
    import torch

    from benchmarks.convnn.training import train

    torch.set_num_threads(1)
    return train(job)


def in_short(one: Run) -> str:
    """A run in a line of the log."""
    words = [one.net, one.mixer]
    if one.net == "vgg":
        words += [f"ratio {one.ratio:g}", f"{one.compared}/{one.gathered}"]
    words += [f"K {one.n_neighbors}", one.candidates]
    if one.n_candidates:
        words.append(str(one.n_candidates))
    return " ".join([*words, one.recipe, one.precision, f"seed {one.seed}"])


def write_report(output: Path, *, write_docs: bool) -> int:
    """The report of all files of the folder."""
    from benchmarks.convnn.convnn_report import make_report
    from benchmarks.convnn.outcomes import read_outcomes
    from benchmarks.report import copy_to_docs, finish

    found = {name: read_outcomes(output / f"{name}.csv") for name in PRESETS}
    found = {name: one for name, one in found.items() if one is not None}
    if not found:
        print(f"{output} holds no figures: nothing to report.")
        return 1
    page = output / "report.md"
    finish(make_report(found), output, page)
    if write_docs:
        copy_to_docs(page, "convnn-nets.md", "convnn-*.svg")
    return 0
