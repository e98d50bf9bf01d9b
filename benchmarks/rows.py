"""Results on disk as they come: a run that is killed goes on where it was."""

import csv
import io
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_rows(
    path: Path, fields: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add rows in one write, so that a kill leaves all of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(rows)
    with path.open("ab", buffering=0) as file:
        file.write(text.getvalue().encode())
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
        self.key = tuple(key)
        self.conditions = {name: str(value) for name, value in conditions.items()}
        self.last_metric = last_metric
        self.fields = [*self.key, "metric", "value", *self.conditions]
        self._drop_what_was_cut_short()

    def keys(self) -> set[tuple[str, ...]]:
        """What was measured."""
        return {self._key_of(row) for row in read_rows(self.path)}

    def append(self, key: Sequence[Any], values: Mapping[str, Any]) -> None:
        """Write the metrics of one measurement."""
        if next(reversed(values)) != self.last_metric:
            raise ValueError(f"the last metric must be {self.last_metric!r}.")
        start = dict(zip(self.key, key))
        rows = [
            start | {"metric": name, "value": value} | self.conditions
            for name, value in values.items()
        ]
        append_rows(self.path, self.fields, rows)

    def forget(self, **chosen: Collection[str]) -> None:
        """Drop the rows whose columns of the key are all among the chosen values."""
        rows = read_rows(self.path)
        kept = [
            row
            for row in rows
            if not all(row[name] in values for name, values in chosen.items())
        ]
        if len(kept) < len(rows):
            self._rewrite(kept)

    def _key_of(self, row: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(row[name] for name in self.key)

    def _drop_what_was_cut_short(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        rows = list(csv.DictReader(io.StringIO(whole.decode())))
        if not rows:
            self.path.unlink()
            return
        self._check_conditions(rows[0])
        complete = {
            self._key_of(row) for row in rows if row["metric"] == self.last_metric
        }
        kept = [row for row in rows if self._key_of(row) in complete]
        if whole == content and len(kept) == len(rows):
            return
        self._rewrite(kept)

    def _rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            self.path.unlink()
            return
        part = self.path.with_name(self.path.name + ".part")
        part.unlink(missing_ok=True)
        append_rows(part, self.fields, rows)
        part.replace(self.path)

    def _check_conditions(self, row: Mapping[str, str]) -> None:
        for name, now in self.conditions.items():
            if row.get(name) != now:
                raise SystemExit(
                    f"{self.path} was measured with {name} {row.get(name)!r}, this run "
                    f"has {now!r}: figures of both must not mix. Move the file away, "
                    "or write to another folder with --output."
                )
