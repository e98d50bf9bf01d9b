"""Results on disk as they come: a run that is killed goes on where it was."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a CSV file as they are written, every cell text; none without any."""
    if not path.exists() or not path.stat().st_size:
        return pd.DataFrame()
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def append_rows(
    path: Path, fields: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add rows in one write, so that a kill leaves all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # As objects: a column that some rows lack keeps its integers.
    frame = pd.DataFrame(rows, columns=list(fields), dtype=object)
    text = frame.to_csv(index=False, header=not path.exists(), lineterminator="\n")
    with path.open("ab", buffering=0) as file:
        file.write(text.encode())
        os.fsync(file.fileno())


class Journal:
    """A tidy CSV file: one row per (key, metric), with the conditions of the run.

    Parameters
    ----------
    path : Path
    key : sequence of str
        Columns that name what was measured.
    conditions : mapping of str to object
        What must not change within a file: versions, machine, protocol.
    last_metric : str
        Written last; what lacks it was cut short and is measured again.
    """

    def __init__(
        self,
        path: Path,
        key: Sequence[str],
        conditions: Mapping[str, Any],
        last_metric: str,
    ) -> None:
        self.path = path
        self.key = list(key)
        self.conditions = {name: str(value) for name, value in conditions.items()}
        self.last_metric = last_metric
        self.fields = [*self.key, "metric", "value", *self.conditions]
        self._drop_what_was_cut_short()

    def keys(self) -> set[tuple[str, ...]]:
        """What was measured."""
        rows = read_rows(self.path).reindex(columns=self.key)
        return set(rows.itertuples(index=False, name=None))

    def append(self, key: Sequence[Any], values: Mapping[str, Any]) -> None:
        """Write the metrics of one measurement, the last metric last."""
        values = dict(values)
        values[self.last_metric] = values.pop(self.last_metric)
        start = dict(zip(self.key, key)) | self.conditions
        rows = [start | {"metric": n, "value": value} for n, value in values.items()]
        append_rows(self.path, self.fields, rows)

    def forget(self, **chosen: Collection[str]) -> None:
        """Drop the rows whose columns of the key are all among the chosen values."""
        rows = read_rows(self.path)
        if len(rows):
            gone = [rows[name].isin(list(values)) for name, values in chosen.items()]
            self._keep(rows, ~np.logical_and.reduce(gone))

    def _drop_what_was_cut_short(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        self.path.write_bytes(content[: content.rfind(b"\n") + 1])
        rows = read_rows(self.path)
        if rows.empty:
            self.path.unlink()
            return
        self._check_conditions(rows.iloc[0])
        key = [rows[name] for name in self.key]
        complete = rows["metric"].eq(self.last_metric).groupby(key).transform("any")
        self._keep(rows, complete)

    def _keep(self, rows: pd.DataFrame, kept: Any) -> None:
        """Rewrite the file where rows go; without any row there is no file."""
        if not kept.any():
            self.path.unlink()
        elif not kept.all():
            part = self.path.with_name(self.path.name + ".part")
            rows[kept].to_csv(part, index=False, lineterminator="\n")
            part.replace(self.path)

    def _check_conditions(self, row: Mapping[str, str]) -> None:
        for name, now in self.conditions.items():
            if row.get(name) != now:
                raise SystemExit(
                    f"{self.path} was measured with {name} {row.get(name)!r}, this run "
                    f"has {now!r}: figures of both must not mix. Move the file away, "
                    "or write to another folder with --output."
                )
