"""Errors and warnings of this library, and warnings that appear once a place."""

import sys
import warnings
from types import FrameType

# Code between a call of the user and a warning of this library.
_BETWEEN = {
    "concurrent",
    "joblib",
    "knngraph",
    "multiprocessing",
    "sklearn",
    "threading",
}
# Places of this process that have shown a warning: category, file and line.
_SHOWN: set[tuple[type[Warning], str, int]] = set()


class KNNGraphWarning(UserWarning):
    """Base of the warnings of this library, so that one filter catches all."""


class LookupAgreementWarning(KNNGraphWarning):
    """The search too often misses the label that exact search would find."""


class SavedModelError(ValueError):
    """A saved model is damaged, or not what this release can read."""


class RefitWarning(KNNGraphWarning):
    """Many rows are new since the last fit: a new fit would serve them better."""


def warn_once(message: str, category: type[Warning]) -> None:
    """Warn once a process for every line of the user's code.

    A search over parameters fits an estimator hundreds of times from one line. The
    "default" action of Python forgets what it has shown as soon as any code enters
    `warnings.catch_warnings`, which scikit-learn and joblib do in every task. So this
    function keeps its own memory. The filters of the user keep their meaning: "error"
    raises and "always" shows every time, and "ignore" leaves the place unused.

    Parameters
    ----------
    message : str
        It may differ from call to call; the place decides.
    category : type of Warning

    Notes
    -----
    The place is the nearest line outside of this library, scikit-learn and joblib. In
    a worker process it is the line that the process was started by.
    """
    frame = _calling_frame()
    file, line = frame.f_code.co_filename, frame.f_lineno
    module = frame.f_globals.get("__name__") or "<unknown>"
    place = category, file, line
    action = _filter_action(message, category, module, line)
    if action not in ("error", "always", "all", "ignore"):
        if place in _SHOWN:
            return
        _SHOWN.add(place)
    warnings.warn_explicit(message, category, file, line, module)


def _calling_frame() -> FrameType:
    """The nearest frame of the user's code, else the outermost one."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _BETWEEN:
            break
        frame = frame.f_back
    return frame


def _filter_action(
    message: str, category: type[Warning], module: str, line: int
) -> str:
    """The action of the first filter that matches, as Python chooses it."""
    for action, text, kind, where, at in warnings.filters:
        if (
            issubclass(category, kind)
            and at in (0, line)
            and _matches(text, message)
            and _matches(where, module)
        ):
            return action
    return "default"


def _matches(pattern: object, text: str) -> bool:
    # Python's own filters hold strings, those of the user compiled patterns.
    if pattern is None or isinstance(pattern, str):
        return pattern is None or pattern == text
    return pattern.match(text) is not None  # type: ignore[attr-defined]
