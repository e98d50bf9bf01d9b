"""Inspection takes fitted estimators as they come and knows none by name."""

from tests.test_architecture import ESTIMATORS, belongs_to, imported_by


def test_inspection_imports_no_estimator():
    found = imported_by(("knngraph.inspection",))
    assert any(name.startswith("knngraph.inference") for _, name in found)
    assert not [pair for pair in found if belongs_to(pair[1], ESTIMATORS)]
    taken = {name.split(".")[-1] for _, name in found}
    assert not {"KNNGraphClassifier", "KNNGraphClassifierCV"} & taken
