"""Fit made rows in this process, and print its peak in bytes and its seconds.

python -m benchmarks.cluster.alone ROWS FEATURES
"""

import sys

from benchmarks.cluster.rows import SETTINGS, cpu_seconds, local_rows, peak_bytes
from knngraph import KNNGraphClassifier


def main() -> None:
    """Fit, and print."""
    X, y = local_rows(*map(int, sys.argv[1:]))
    before = cpu_seconds()
    KNNGraphClassifier(**SETTINGS).fit(X, y)
    print(peak_bytes(), cpu_seconds() - before)


if __name__ == "__main__":
    main()
