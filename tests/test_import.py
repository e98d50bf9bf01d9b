"""What importing the package costs: seen from a fresh process."""

import subprocess
import sys

import pytest

HEAVY = {"numba", "hnswlib", "matplotlib", "tqdm", "dask", "skrub", "torch"}


@pytest.mark.parametrize(
    "program",
    [
        "import knngraph",
        "from knngraph import KNNGraphClassifier; KNNGraphClassifier().get_params()",
        "import knngraph.cli",
    ],
)
def test_import_loads_nothing_heavy(program):
    show = f"{program}\nimport sys\nprint('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", show], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "knngraph" in loaded
    assert not HEAVY & set(loaded)
