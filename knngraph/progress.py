"""Progress of long work on standard error: a bar with tqdm, lines without."""

import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 2.0


# Stages of all threads that are shown now.
_SHOWN: list["Stage"] = []


class Stage:
    """One stage of work that counts what is done.

    Parameters
    ----------
    name : str
    total : int
        Number of units.
    unit : str, default="row"
    """

    def __init__(self, name: str, total: int, unit: str = "row") -> None:
        self.name = name
        self.total = total
        self.done = 0
        self._start = time.perf_counter()
        self._last_line = self._start
        self._bar = _make_bar(name, total, unit)

    def advance(self, n_units: int) -> None:
        """Count `n_units` more units as done."""
        self.done += n_units
        if self._bar is not None:
            self._bar.update(n_units)
            return
        if not 0 < self.done < self.total:
            return
        now = time.perf_counter()
        if now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = (now - self._start) / self.done * (self.total - self.done)
            self._write(f"{self.done}/{self.total}, {left:.0f} s left")

    def close(self) -> None:
        """End the stage."""
        if self._bar is not None:
            self._bar.close()
            return
        seconds = time.perf_counter() - self._start
        self._write(f"{self.done}/{self.total}, done in {seconds:.1f} s")

    def _write(self, text: str) -> None:
        print(f"[knngraph] {self.name}: {text}", file=sys.stderr, flush=True)


class _SilentStage:
    done = 0

    def advance(self, n_units: int) -> None:
        """Do nothing."""


def _make_bar(name: str, total: int, unit: str):  # type: ignore[no-untyped-def]
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(
        total=total,
        desc=f"[knngraph] {name}",
        unit=unit,
        unit_scale=unit == "byte",
        file=sys.stderr,
    )


@contextmanager
def stage(
    name: str, total: int, verbose: int, unit: str = "row"
) -> Iterator[Stage | _SilentStage]:
    """Show the progress of one stage while the block runs.

    Examples
    --------
    >>> from knngraph.progress import stage
    >>> with stage("counting", total=3, verbose=0) as counting:
    ...     for _ in range(3):
    ...         counting.advance(1)
    """
    if not verbose:
        yield _SilentStage()
        return
    shown = Stage(name, total, unit)
    _SHOWN.append(shown)
    try:
        yield shown
    finally:
        _SHOWN.remove(shown)
        shown.close()


def tell(text: str) -> None:
    """Print a line between the stages that are shown, or else on a terminal.

    Without a stage nothing is printed by worker processes, nor where standard error
    is no terminal: in notebooks, services and logs.
    """
    if not _SHOWN:
        is_worker = multiprocessing.parent_process() is not None
        if is_worker or sys.stderr is None or not sys.stderr.isatty():
            return
    line = f"[knngraph] {text}"
    bars = [stage._bar for stage in _SHOWN if stage._bar is not None]
    if bars:
        bars[0].write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)
