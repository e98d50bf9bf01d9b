"""Parameters of a long constructor under a heading for each of their groups.

A docstring names the group of a parameter before its description, as in `Index: width
of the search`. The page gets a field for every group, in the order of the docstring.
"""

import re
from typing import Any

_HEADINGS = {
    "Index": "Parameters of the index",
    "Graph": "Parameters of the published graph",
}
_DESCRIBED = re.compile(r"(\s+)(" + "|".join(_HEADINGS) + r"): (.)")


def grouped(lines: list[str]) -> list[str]:
    """The lines of a docstring, with other parameters under the names of groups."""
    rest, others = _cut(lines, ":Other Parameters:")
    rest, daily = _cut(rest, ":Parameters:")
    written: list[str] = []
    group = ""
    for line, following in zip(others[1:], [*others[2:], ""]):
        opens = _DESCRIBED.match(following)
        if opens and opens[2] != group:
            group = opens[2]
            written += [f":{_HEADINGS[group]}:", ""]
        written.append(_DESCRIBED.sub(lambda m: m[1] + m[3].upper(), line))
    if not group:
        return lines
    start = lines.index(daily[0])
    shown = [":Parameters for every day:", *daily[1:], *written]
    return [*rest[:start], *shown, *rest[start:]]


def _cut(lines: list[str], field: str) -> tuple[list[str], list[str]]:
    """The lines without a field, and those of the field."""
    if field not in lines:
        return lines, []
    start = lines.index(field)
    later = range(start + 1, len(lines))
    stop = next((i for i in later if lines[i][:1].strip()), len(lines))
    return lines[:start] + lines[stop:], lines[start:stop]


def sort(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    """After numpydoc, which has made fields of the sections."""
    lines[:] = grouped(lines)


def setup(app: Any) -> dict[str, bool]:
    """Sort the parameters of every docstring that names groups."""
    app.connect("autodoc-process-docstring", sort, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
