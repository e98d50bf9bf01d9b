"""Warnings that appear once a process and place, and obey the filters of the user."""

import subprocess
import sys
import warnings

import pytest

from knngraph.exceptions import KNNGraphWarning, LookupAgreementWarning, warn_once


def shown_by(program: str, *options: str) -> list[str]:
    """Lines on standard error of a fresh process that hold a warning."""
    run = subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in run.stderr.splitlines() if "Warning: " in line]


PLACES = """
import warnings
from knngraph.exceptions import KNNGraphWarning, warn_once

for number in range(3):
    warn_once(f"first {number}", KNNGraphWarning)
    # Python forgets here what it has shown.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
    warn_once(f"second {number}", KNNGraphWarning)
"""


def test_every_place_warns_once():
    assert [line.split(": ")[-1] for line in shown_by(PLACES)] == [
        "first 0",
        "second 0",
    ]
    assert "<string>:6: KNNGraphWarning" in shown_by(PLACES)[0]


@pytest.mark.parametrize(("action", "n_shown"), [("always", 6), ("ignore", 0)])
def test_filters_of_the_command_line_decide(action, n_shown):
    assert len(shown_by(PLACES, "-W", f"{action}::UserWarning")) == n_shown


def warn_from_here():
    warn_once("from here", KNNGraphWarning)


def test_errors_are_raised_and_records_kept_every_time():
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.warns(KNNGraphWarning, match="from here"):
            warn_from_here()
    for _ in range(2):
        with pytest.raises(KNNGraphWarning, match="from here"):
            warn_from_here()
        with pytest.warns(KNNGraphWarning, match="from here") as caught:
            warn_from_here()
        assert len(caught) == 1
        assert caught[0].filename == __file__


def test_filters_by_message_and_module_decide():
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("error", message="from")
        with pytest.raises(KNNGraphWarning):
            warn_from_here()
        warnings.filterwarnings("ignore", module=__name__.replace(".", r"\."))
        warn_from_here()


def test_an_ignored_warning_leaves_its_place_unused():
    def shown(action):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            warn_once("later", KNNGraphWarning)
        return len(caught)

    assert [shown(a) for a in ("ignore", "default", "default", "always")] == [
        0,
        1,
        0,
        1,
    ]


GRID = """
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from knngraph import KNNGraphClassifier

if __name__ == "__main__":
    X, y = make_blobs(600, 12, centers=60, cluster_std=4.0, random_state=0)
    model = KNNGraphClassifier(
        max_neighbors=4, M=2, ef_construction=2, metric="euclidean", random_state=0
    )
    grid = {{"self_weight": [0.5, 1.0, 2.0]}}
    GridSearchCV(model, grid, cv=2, n_jobs={n_jobs}).fit(X, y % 5)
"""


@pytest.mark.parametrize(("n_jobs", "most"), [(1, 1), (2, 3)])
def test_a_grid_search_warns_once_a_process(n_jobs, most):
    # Seven fits, in one process or in two workers and the process of the last fit.
    lines = shown_by(GRID.format(n_jobs=n_jobs))
    assert 1 <= len(lines) <= most
    assert all(LookupAgreementWarning.__name__ in line for line in lines)
