"""The picture of accuracy against time, drawn as SVG by hand."""

import math
from html import escape

# In units of the drawing: about pixels on a phone, so that text stays legible.
_WIDTH, _HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 26, 14, 40
_RADIUS = 5
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_NUMBER_SIZE = 14
# Where a number may stand beside its point, best place first.
_PLACES = [
    (15, 4), (-15, 4), (0, -10), (0, 19), (15, -8), (-15, -8), (15, 16), (-15, 16),
    (26, 4), (-26, 4), (0, -24), (0, 32), (28, -14), (-28, -14), (28, 22), (-28, 22),
]  # fmt: skip


def scatter(points: list[tuple[str, float, float, bool]], chosen: str | None) -> str:
    """Draw the methods, numbered, with their names below.

    Parameters
    ----------
    points : list of (name, microseconds, accuracy in percent, ours)
    chosen : str or None

    Returns
    -------
    str
        HTML.
    """
    if not points:
        return ""
    lows = math.floor(math.log10(min(us for _, us, _, _ in points)) - 0.05)
    highs = math.ceil(math.log10(max(us for _, us, _, _ in points)) + 0.05)
    ticks = accuracy_ticks([accuracy for _, _, accuracy, _ in points])

    def place(us: float, accuracy: float) -> tuple[float, float]:
        along = (math.log10(us) - lows) / (highs - lows)
        up = (accuracy - ticks[0]) / (ticks[-1] - ticks[0])
        return (
            _LEFT + along * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [_grid(lows, highs, ticks, place)]
    dots = [place(us, accuracy) for _, us, accuracy, _ in points]
    numbers = free_places(dots)
    names = []
    for i, (name, us, accuracy, ours) in enumerate(points):
        kind = ("ours" if ours else "other") + (" mark" if name == chosen else "")
        x, y = dots[i]
        hint = f"{name}: {accuracy:.2f} %, {us:,.1f} microseconds"
        parts.append(
            f"<g><title>{escape(hint)}</title>"
            f"<circle class='dot {kind}' cx='{x:.1f}' cy='{y:.1f}' r='{_RADIUS}'/>"
            f"<text x='{numbers[i][0]:.1f}' y='{numbers[i][1]:.1f}' "
            f"text-anchor='middle'>{i + 1}</text></g>"
        )
        mark = " class='chosen'" if name == chosen else ""
        names.append(f"<li{mark}>{escape(name)}</li>")
    drawing = "".join(parts)
    return (
        f"<figure><svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        "aria-label='Accuracy against microseconds a query'>"
        f"{drawing}</svg><ol>{''.join(names)}</ol></figure>"
    )


def accuracy_ticks(values: list[float]) -> list[float]:
    """Round numbers around all values, three to seven of them.

    Examples
    --------
    >>> from knngraph.compare.scatter import accuracy_ticks
    >>> accuracy_ticks([93.2, 97.9])
    [93.0, 94.0, 95.0, 96.0, 97.0, 98.0]
    """
    low, high = min(values), max(values)
    step = next((s for s in _STEPS if (high - low) / s <= 5), _STEPS[-1])
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 2)
    return [float(round(i * step, 6)) for i in range(first, last + 1)]


def free_places(dots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the number of every dot stands, clear of dots and other numbers."""
    taken: list[tuple[float, float]] = []
    for x, y in dots:
        options = [(x + dx, y + dy) for dx, dy in _PLACES]
        inside = [
            option
            for option in options
            if _LEFT + 8 < option[0] < _WIDTH - 6
            and _TOP + 6 < option[1] < _HEIGHT - _BOTTOM - 4
        ]
        crowd = [
            (
                sum(_touch(option, (dot[0], dot[1] + 4)) for dot in dots)
                + sum(_touch(option, other) for other in taken)
            )
            for option in inside
        ]
        taken.append(inside[crowd.index(min(crowd))])
    return taken


def _touch(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return (
        abs(one[0] - other[0]) < _NUMBER_SIZE - 3
        and abs(one[1] - other[1]) < _NUMBER_SIZE - 3
    )


def _grid(lows: int, highs: int, ticks: list[float], place) -> str:  # type: ignore[no-untyped-def]
    parts = []
    for tick in ticks:
        _, y = place(10.0**lows, tick)
        parts.append(
            f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' "
            f"y2='{y:.1f}'/><text class='tick' x='{_LEFT - 6}' y='{y + 4:.1f}' "
            f"text-anchor='end'>{tick:g}</text>"
        )
    for power in range(lows, highs + 1):
        x, _ = place(10.0**power, ticks[0])
        bottom = _HEIGHT - _BOTTOM
        parts.append(
            f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{bottom}'/>"
            f"<text class='tick' x='{x:.1f}' y='{bottom + 16}' "
            f"text-anchor='middle'>{10.0**power:,g}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f"<text class='tick' x='{middle:.1f}' y='{_HEIGHT - 6}' text-anchor='middle'>"
        "microseconds a query (further left is faster)</text>"
        f"<text class='tick' transform='rotate(-90)' x='{-(_HEIGHT - _BOTTOM) / 2:.1f}'"
        " y='12' text-anchor='middle'>accuracy, %</text>"
    )
    return "".join(parts)
