"""The short form of `python -m tests.soak`, and that it would tell."""

import numpy as np
import pytest

from knngraph.updating.change import Change
from tests.soak import OPERATIONS, Findings, Soak, report, soak


def test_mixed_operations_are_answered_right_and_memory_stays(tried):
    findings = soak(800, seed=1)
    assert findings.wrong == 0
    assert findings.crashes == 0
    assert findings.sound
    assert set(findings.done) == set(OPERATIONS)
    assert sum(findings.done.values()) == 800
    # Every kind of answer was held against another.
    assert min(findings.checked.values()) > 0
    assert len(findings.checked) == 7
    tried["soak: mixed operations, no crash"] += 800
    tried["soak: answers checked by brute force, none wrong"] += sum(
        findings.checked.values()
    )


def test_a_change_that_is_lost_is_found(monkeypatch):
    monkeypatch.setattr(Change, "removed", lambda self, indices: self)
    assert Soak(seed=0).run(60).wrong > 0


def test_numbers_that_are_kept_too_long_are_found(monkeypatch):
    monkeypatch.setattr("knngraph.updating.change.REFRESH_SHARE", 0.5)
    assert Soak(seed=0).run(300).wrong > 0


@pytest.mark.parametrize("per_operation", [0, 1000])
def test_memory_that_creeps_is_found(per_operation):
    operation = np.arange(0, 100_000, 1000)
    resident = 10**8 + per_operation * operation
    findings = Findings(operation=operation.tolist(), resident=resident.tolist())
    assert findings.sound == (per_operation == 0)
    assert "wrong answers   0" in report(findings, seconds=1.0)
