"""Labels made wrong, and the report of what was found."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.suspects import KINDS, OTHERS, OURS, PEER, SHARES, replaced, report


@pytest.mark.parametrize("n_classes", [2, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_the_labels_is_wrong(kind, n_classes, random):
    y = np.arange(2100) % n_classes
    noisy = replaced(y, kind, 0.1, random)
    assert np.sum(noisy != y) == 210
    assert noisy.min() >= 0
    assert noisy.max() < n_classes
    rates = [np.mean(noisy[y == code] != code) for code in range(n_classes)]
    spread = max(rates) / min(rates)
    assert spread < 2.0 if kind == "symmetric" else spread > 3.0


def test_the_report_counts_sets_that_every_method_has():
    rows = []

    def add(name, method, value, **others):
        figures = {"average precision": value, "seconds": 1.0} | others
        for kind in KINDS:
            for share in SHARES:
                key = {"set": name, "kind": kind, "share": str(share)}
                rows.extend(
                    key | {"method": method, "metric": metric, "value": str(figure)}
                    for metric, figure in figures.items()
                )

    of_others = {f"{name}, given": 0.7 for name in OTHERS}
    of_others |= {f"{name}, kept": 0.8 for name in OTHERS} | {"removed": 0.1}
    for name, ours, peer in (("a", 0.9, 0.8), ("b", 0.5, 0.7)):
        add(name, OURS, ours, **of_others)
        add(name, PEER, peer)
    add("c", OURS, 0.1, **of_others)
    text = report(pd.DataFrame(rows))
    assert "over 2 sets" in text
    assert "| symmetric, 5% | 0.700 | 1.0 | 0.750 | 1.0 | 1 of 2 |" in text
    assert "| by class, 20% | random forest | 70.0 | 80.0 | 2 of 2 | 10% |" in text
    alone = report(pd.DataFrame([row for row in rows if row["method"] == OURS]))
    assert PEER not in alone
    assert "over 3 sets" in alone
