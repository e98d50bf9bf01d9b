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
_MEMBER = re.compile(r"\s+(?:(" + "|".join(_HEADINGS) + r"): )?")


def grouped(lines: list[str]) -> list[str]:
    """The lines of a docstring, with other parameters under the names of groups."""
    if ":Other Parameters:" not in lines:
        return lines
    start = lines.index(":Other Parameters:")
    stop = next(
        (i for i in range(start + 1, len(lines)) if lines[i][:1].strip()), len(lines)
    )
    members = [line for line in lines[start + 1 : stop] if line]
    indent = min(len(line) - len(line.lstrip()) for line in members)
    written, group = [], ""
    for line, following in zip(members, [*members[1:], ""]):
        found = _MEMBER.match(following)
        if not line[indent : indent + 1].isspace():
            if found and found[1] and found[1] != group:
                group = found[1]
                written += ["", f":{_HEADINGS[group]}:", ""]
            written += ["", line]
        else:
            said = re.sub(rf"^(\s+){group}: (.)", lambda m: m[1] + m[2].upper(), line)
            written.append(said)
    if not group:
        return lines
    head = [":Parameters for every day:" if x == ":Parameters:" else x for x in lines]
    return [*head[:start], *written, "", *lines[stop:]]


def sort(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    """After numpydoc, which has made fields of the sections."""
    lines[:] = grouped(lines)


def setup(app: Any) -> dict[str, bool]:
    """Sort the parameters of every docstring that names groups."""
    app.connect("autodoc-process-docstring", sort, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
