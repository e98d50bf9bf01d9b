"""A fitted model in a folder: one file a partition, written where it lies."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from knngraph.distributed.partition import Partition
from knngraph.distributed.tasks import compute, finish, homes_of, persist, task
from knngraph.exceptions import SavedModelError
from knngraph.serving import estimator_file
from knngraph.serving.container import PARTITION, pack, read, write
from knngraph.serving.tree import from_tree, to_tree

FORMAT_VERSION = 1
SHARED = "shared.knngraph"


def save_parts(folder: Path, parts: list[Any], homes: list[Any], shared: Any) -> None:
    """Write persisted parts from the workers that hold them, then what they share.

    The shared file names the others and is written last: a folder that holds an
    older model holds that or the new one, whenever this is interrupted.

    Parameters
    ----------
    folder : Path
        On a file system that all workers share.
    parts : list of Delayed
        `Partition`, or one whole estimator.
    homes : list of str or None
    shared : object
        Pickled with the names of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = secrets.token_hex(8)
    names = [f"part-{number:05d}-{model}.knngraph" for number in range(len(parts))]
    writing = [
        task(partial(_write, folder / name, model), part, name="save", home=home)
        for part, name, home in zip(parts, names, homes)
    ]
    missing = [n for n, _ in zip(names, compute(*writing)) if not (folder / n).exists()]
    if missing:
        raise SavedModelError(
            f"{folder / missing[0]} was written by a worker and is not there for the "
            "client. The folder must be on a file system that all of them share."
        )
    estimator_file.save((shared, model, names), folder / SHARED)
    for old in folder.glob("part-*.knngraph"):
        if old.name not in names:
            old.unlink(missing_ok=True)


def load_parts(folder: Path) -> tuple[Any, list[Any], list[Any]]:
    """Read what `save_parts` wrote, every part on a worker of this cluster.

    Returns
    -------
    shared : object
    parts : list of Delayed
        Persisted, and verified byte by byte.
    homes : list of str or None
    """
    with _named(folder / SHARED):
        held = estimator_file.load(folder / SHARED)
    if not isinstance(held, tuple) or len(held) != 3:
        raise SavedModelError(
            f"{os.fspath(folder / SHARED)!r} holds no DaskKNNGraphClassifier; read it "
            "with knngraph.load."
        )
    shared, model, names = held
    homes = homes_of(len(names))
    parts = persist(
        [
            task(partial(_read, folder / name, model), name="load", home=home)
            for name, home in zip(names, homes)
        ]
    )
    finish(parts)
    return shared, parts, homes


def _write(path: Path, model: str, part: Any) -> bool:
    if not isinstance(part, Partition):
        estimator_file.save((part, model), path)
        return True
    tree, arrays = to_tree({f.name: getattr(part, f.name) for f in fields(Partition)})
    meaning = {"model": model, "tree": tree}
    write(path, pack(PARTITION, FORMAT_VERSION, meaning, arrays))
    return True


def _read(path: Path, model: str) -> Any:
    with _named(path):
        with open(path, "rb") as file:
            whole = file.read(len(PARTITION)) != PARTITION
        if whole:
            part, found = estimator_file.load(path)
        else:
            meaning, arrays = read(path, PARTITION, FORMAT_VERSION, mapped=False)
            part = Partition(**from_tree(meaning["tree"], arrays))
            found = meaning["model"]
    if found != model:
        raise SavedModelError(f"{os.fspath(path)!r} is a part of another model.")
    return part


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in every error that comes of reading it."""
    name = os.fspath(path)
    try:
        yield
    except FileNotFoundError as error:
        raise SavedModelError(
            f"{name!r} is missing. Load the folder on a file system that all workers "
            "share, or copy the file again from where it was made."
        ) from error
    except SavedModelError as error:
        if name in str(error):
            raise
        raise SavedModelError(f"{name!r}: {error}") from error
