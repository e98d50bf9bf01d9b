"""The methods that are compared, each an estimator of scikit-learn's kind."""

from dataclasses import dataclass
from typing import Any

from sklearn import ensemble
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from knngraph.classifier import KNNGraphClassifier
from knngraph.selection import KNNGraphClassifierCV

MAJORITY = "majority class"
# A grid of SVCs takes time that grows with the square of the rows.
MOST_ROWS_OF_SVC = 5_000
_NEIGHBORS = {"n_neighbors": [1, 3, 5, 9, 15, 25], "weights": ["uniform", "distance"]}
_SVC = {"C": [1, 10, 100], "gamma": ["scale", 0.01]}


@dataclass(frozen=True)
class Method:
    """One line of the table: a name and an unfitted estimator."""

    name: str
    estimator: Any
    ours: bool = False


def all_methods(
    n_rows: int, *, seed: int = 0, n_jobs: int = 1, quick: bool = False
) -> tuple[list[Method], list[str]]:
    """The methods, the majority class first, and notices of what is left out.

    `quick` leaves out boosting and what compares settings of its own, but for kNN.
    """
    random: dict[str, Any] = {"random_state": seed}
    shared = random | {"n_jobs": n_jobs}
    methods = [
        Method(MAJORITY, DummyClassifier(strategy="prior")),
        Method("logistic regression", LogisticRegression(max_iter=1000)),
        Method("kNN, tuned", GridSearchCV(KNeighborsClassifier(), _NEIGHBORS)),
        Method("random forest", ensemble.RandomForestClassifier(**shared)),
        Method("extra trees", ensemble.ExtraTreesClassifier(**shared)),
        *(
            Method(how, KNNGraphClassifier(inference=how, **shared), ours=True)
            for how in ("lookup", "cascade", "adaptive")
        ),
    ]
    if quick:
        return methods, ["--quick: without boosting, SVC and KNNGraphClassifierCV."]
    methods += [
        Method("KNNGraphClassifierCV", KNNGraphClassifierCV(**shared), ours=True),
        Method(
            "HistGradientBoosting", ensemble.HistGradientBoostingClassifier(**random)
        ),
    ]
    if n_rows > MOST_ROWS_OF_SVC:
        say = f"Without SVC above {MOST_ROWS_OF_SVC:,} rows, as it takes long: "
        return methods, [f"{say}--sample {MOST_ROWS_OF_SVC} compares it as well."]
    # An SVC has no probabilities by itself.
    svc = CalibratedClassifierCV(GridSearchCV(SVC(), _SVC, cv=3), cv=3, ensemble=False)
    return [*methods, Method("SVC, tuned", svc)], []
