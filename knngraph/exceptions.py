"""Errors and warnings of this library, and warnings that appear once a place."""

import sys
import warnings

# Code between a call of the user and a warning of this library.
_BETWEEN = (
    "concurrent",
    "joblib",
    "knngraph",
    "multiprocessing",
    "numba",
    "sklearn",
    "threading",
)
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
    # The nearest frame of the user's code, else the outermost one.
    frame = sys._getframe(1)
    while frame.f_back is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _BETWEEN:
            break
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    module = frame.f_globals.get("__name__") or "<unknown>"
    if _filter_action(message, category, module, line) in ("default", "module", "once"):
        place = category, file, line
        if place in _SHOWN:
            return
        _SHOWN.add(place)
    warnings.warn_explicit(message, category, file, line, module)


def _filter_action(
    message: str, category: type[Warning], module: str, line: int
) -> str:
    """The action of the first filter that matches, as Python chooses it."""
    for action, text, kind, where, at in warnings.filters:
        # Patterns are compiled, but for those of Python's own filters, which are for
        # other categories.
        if (
            issubclass(category, kind)
            and at in (0, line)
            and (text is None or text.match(message))
            and (where is None or where.match(module))
        ):
            return action
    return "default"
