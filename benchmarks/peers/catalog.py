"""What is compared, and among which settings each may choose."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from benchmarks.peers import engines
from benchmarks.peers.engines import SearchVote
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV, baselines

Settings = dict[str, Any]
# What all that vote choose among, once and by exact search.
KS = (1, 3, 5, 10, 20)
WEIGHTS = ("uniform", "distance")
# Rows of the grid search of an SVC; the winner is fitted on all of them.
SVC_SEARCH_ROWS = 1500


@dataclass(frozen=True)
class Peer:
    """One competitor.

    Parameters
    ----------
    name : str
    build : callable of settings
        Makes the unfitted model.
    grid : tuple of dict
        Settings to choose among on held-out training rows.
    package : str
        What must be installed.
    fixed : str
        Settings that are not chosen, in words for the report; empty for defaults.
    votes : bool
        Whether k and the weights of the votes, chosen once by exact search for
        all that vote, belong to the settings.
    search_rows : int or None
        Training rows at most for the choice of settings.
    is_ours : bool
    """

    name: str
    build: Callable[[Settings], Any]
    grid: tuple[Settings, ...] = ({},)
    package: str = "scikit-learn"
    fixed: str = ""
    votes: bool = False
    search_rows: int | None = None
    is_ours: bool = False


def peers() -> list[Peer]:
    """All of them, in the order of the table."""
    return [*_exact(), *_approximate(), *_others(), *_ours()]


def _exact() -> list[Peer]:
    def neighbors(algorithm: str) -> Peer:
        return Peer(
            f"sklearn {algorithm}",
            lambda s: KNeighborsClassifier(
                s["k"], weights=s["weights"], algorithm=algorithm
            ),
            votes=True,
        )

    flat = Peer(
        "faiss flat",
        lambda s: _vote(engines.Faiss("Flat"), s),
        package="faiss-cpu",
        votes=True,
    )
    return [neighbors("brute"), neighbors("kd_tree"), neighbors("ball_tree"), flat]


def _approximate() -> list[Peer]:
    beams = tuple({"ef": ef} for ef in (16, 32, 64, 128))
    return [
        Peer(
            "faiss HNSW",
            lambda s: _vote(engines.Faiss("HNSW32", 100, s["ef"]), s),
            beams,
            "faiss-cpu",
            "M=32, efConstruction=100",
            votes=True,
        ),
        Peer(
            "hnswlib + vote",
            lambda s: _vote(engines.Hnswlib(16, 200, max(s["ef"], s["k"])), s),
            beams,
            "hnswlib",
            "M=16, ef_construction=200, ef at least k",
            votes=True,
        ),
        Peer(
            "pynndescent",
            lambda s: _vote(engines.PyNNDescent(30, s["epsilon"]), s),
            tuple({"epsilon": epsilon} for epsilon in (0.05, 0.1, 0.2)),
            "pynndescent",
            "n_neighbors=30",
            votes=True,
        ),
        Peer(
            "annoy",
            lambda s: _vote(engines.Annoy(50, s["search_k"]), s),
            tuple({"search_k": n} for n in (500, 2000, 8000)),
            "annoy",
            "50 trees",
            votes=True,
        ),
        Peer(
            "LSH (faiss)",
            lambda s: _vote(engines.FaissLSH(s["n_bits"]), s),
            tuple({"n_bits": n} for n in (128, 512, 1024)),
            "faiss-cpu",
            "signs of rotated projections of centered rows, all codes compared",
            votes=True,
        ),
    ]


def _others() -> list[Peer]:
    return [
        Peer(
            "ENN",
            lambda s: baselines.ENNClassifier(**s),
            tuple(
                {"n_neighbors_edit": edit, "n_neighbors": k}
                for edit in (3, 5)
                for k in (1, 3)
            ),
            "knngraph",
        ),
        Peer(
            "SVC",
            _ScaledSVC,
            tuple(
                {"C": C, "gamma_factor": gamma}
                for C in (1.0, 10.0, 100.0)
                for gamma in (0.3, 1.0, 3.0)
            ),
            fixed=(
                "RBF kernel, gamma = gamma_factor / (columns x variance); chosen on "
                f"{SVC_SEARCH_ROWS} rows, fitted on all"
            ),
            search_rows=SVC_SEARCH_ROWS,
        ),
        Peer(
            "extra trees",
            lambda s: ExtraTreesClassifier(300, random_state=0, **s),
            ({"max_features": "sqrt"}, {"max_features": 0.3}),
            fixed="300 trees",
        ),
    ]


def _ours() -> list[Peer]:
    """The classifier in all ways, with settings of its own, and as a predictor.

    A predictor gives the same answers without scikit-learn around them.
    """

    def one(name: str, kind: Callable[..., Any], *more: str, **parameters: Any) -> Peer:
        words = [*(f"{key}={value}" for key, value in parameters.items()), *more]
        return Peer(
            f"ours: {name}",
            lambda _: kind(random_state=0, **parameters),
            package="knngraph",
            fixed=", ".join(words),
            is_ours=True,
        )

    plain = {"inference": "cascade", "metric": "euclidean"}
    return [
        one("lookup, ef=1", KNNGraphClassifier),
        one("lookup, ef=auto", KNNGraphClassifier, ef="auto"),
        one("cascade", KNNGraphClassifier, inference="cascade"),
        one("adaptive", KNNGraphClassifier, inference="adaptive"),
        one("cascade, metric=euclidean", KNNGraphClassifier, **plain),
        one("CV", KNNGraphClassifierCV),
        one("predictor, lookup", _Served, "to_predictor()"),
        one("predictor, cascade", _Served, "to_predictor()", inference="cascade"),
    ]


def _vote(engine: Any, settings: Settings) -> SearchVote:
    return SearchVote(engine, settings["k"], settings["weights"])


class _ScaledSVC:
    """An SVC whose gamma is in units of one over (columns x variance)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def fit(self, X: Any, y: Any) -> "_ScaledSVC":
        """Fit with the gamma that the rows give."""
        gamma = self.settings["gamma_factor"] / (X.shape[1] * X.var())
        self.model = SVC(C=self.settings["C"], gamma=gamma).fit(X, y)
        self.predict = self.model.predict
        return self


class _Served:
    """A predictor made of a fitted classifier."""

    def __init__(self, **parameters: Any) -> None:
        self.classifier = KNNGraphClassifier(**parameters)

    def fit(self, X: Any, y: Any) -> "_Served":
        """Fit, then keep what answers alone."""
        model = self.classifier.fit(X, y)
        self.predictor = model.to_predictor()
        return self

    def predict(self, X: Any) -> Any:
        """Answer; a single row goes the short way."""
        if len(X) == 1:
            return np.array([self.predictor(X[0])])
        return self.predictor.predict(X)
