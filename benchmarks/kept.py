"""Figures in one JSON file as they come: a run that is killed goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.isolated import MeasurementFailed, run_isolated
from benchmarks.machine import conditions

RESULTS = Path(__file__).resolve().parent / "results"


class KeptFigures:
    """Results of measurements by name, kept in a file.

    Parameters
    ----------
    path : Path
    report_only : bool, default=False
        Whether nothing is measured: what the file lacks is None.
    most_gib : float, default=0.0
        Memory that a measurement of many rows may have; 0 is no limit.

    Attributes
    ----------
    conditions : dict
        Versions and machine of the first measurement of the file.
    failed : dict of str to str
        What this run could not measure, with the reason.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from benchmarks.kept import KeptFigures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "figures.json"
    ...     KeptFigures(path).put("two", 2)
    ...     "two" in KeptFigures(path), KeptFigures(path)["two"]
    (True, 2)
    """

    def __init__(
        self, path: Path, *, report_only: bool = False, most_gib: float = 0.0
    ) -> None:
        self.path, self.report_only, self.most_gib = path, report_only, most_gib
        content = json.loads(path.read_text()) if path.exists() else {}
        self._found: dict[str, Any] = content.get("figures", {})
        self.conditions = content.get("conditions") or conditions()
        self.failed: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> Any:
        return self._found[name]

    def put(self, name: str, value: Any) -> None:
        """Keep a value, on disk as well."""
        self._found[name] = value
        content = {"conditions": self.conditions, "figures": self._found}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(content, indent=1))
        part.replace(self.path)

    def measure(self, name: str, function: str, arguments: dict[str, Any]) -> Any:
        """The value of a name; called for in a process of its own unless it is there.

        Parameters
        ----------
        name : str
        function : str
            As in "package.module:name".
        arguments : dict
            Of the function, as JSON can carry them.

        Returns
        -------
        object
            None where the measurement failed: it is measured again by the next run.
        """
        if name in self:
            return self[name]
        if self.report_only:
            return None
        try:
            # With all threads of the machine; those that wait take no time.
            value = run_isolated(
                function, arguments, environment={"OMP_WAIT_POLICY": "passive"}
            )
        except MeasurementFailed as error:
            self.failed[name] = str(error)
            print(f"{name}: {error}", flush=True)
            return None
        print(f"{name}: {_in_short(value)}", flush=True)
        self.put(name, value)
        return value


def add_kept(parser: Any, path: Path) -> Callable[[Any], KeptFigures]:
    """Options for the file of figures; gives what opens it."""
    parser.add_argument(
        "--results", type=Path, default=path, help="file that keeps the figures"
    )
    parser.add_argument(
        "--again", action="store_true", help="measure what the file has once more"
    )

    parser.add_argument(
        "--report-only", action="store_true", help="report what the file has"
    )
    parser.add_argument(
        "--most-gib",
        type=float,
        default=9.0,
        help="memory that many rows may take (default: 9; 0 is no limit)",
    )

    def opened(options: Any) -> KeptFigures:
        if options.again:
            options.results.unlink(missing_ok=True)
        return KeptFigures(
            options.results,
            report_only=options.report_only,
            most_gib=options.most_gib,
        )

    return opened


def _in_short(value: dict[str, Any]) -> str:
    parts = [
        f"{name} {number:.4g}"
        for name, number in value.items()
        if isinstance(number, float)
    ]
    return ", ".join(parts) or "done"
