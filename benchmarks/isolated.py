"""One measurement in a process of its own: its memory, its threads, its time."""

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_SECONDS_BETWEEN_LOOKS = 1.0
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


class MeasurementFailed(RuntimeError):
    """The process ended without a result."""


def run_isolated(
    function: str,
    arguments: Mapping[str, Any],
    *,
    timeout: float | None = None,
    environment: Mapping[str, str] = ONE_THREAD,
) -> Any:
    """Call a function in a new process, of one thread unless told otherwise.

    Parameters
    ----------
    function : str
        As in "package.module:name".
    arguments : mapping
        Keyword arguments, as JSON can carry them.
    timeout : float or None
        Seconds after which the process is ended.
    environment : mapping of str to str
        Variables that are set for the process.

    Returns
    -------
    object
        What the function returned, as JSON can carry it.

    Raises
    ------
    MeasurementFailed
    """
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.isolated", function],
            input=json.dumps(dict(arguments)),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | dict(environment) | {"PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"not done within {timeout:g} s") from None
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["no message"]
        status = f"status {ended.returncode}"
        if ended.returncode < 0:
            status = f"signal {-ended.returncode}"
        raise MeasurementFailed(f"{status}: {lines[-1]}")
    return json.loads(ended.stdout.splitlines()[-1])


def reset_peak() -> None:
    """Forget the peak so far, where the system lets us."""
    if _RESET.exists():
        _RESET.write_text("5")


def resident_megabytes() -> float:
    """Memory that the process has now."""
    return _status("VmRSS")


def peak_megabytes() -> float:
    """Most memory that the process has had since the last reset."""
    return _status("VmHWM")


def _status(name: str) -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    # Elsewhere only the peak of the whole process is known.
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def end_with_parent() -> None:
    """End this process soon after the one that started it was killed.

    What is left running would slow down what a resumed run measures.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _main() -> None:
    end_with_parent()
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(function(**json.load(sys.stdin))))


if __name__ == "__main__":
    _main()
