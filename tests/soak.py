"""A model that lives long: mixed operations, checked by brute force as they go.

    python -m tests.soak [--operations 100000] [--seed 0]

Rows come and go, queries are answered in all three ways, the estimator and its
predictor go to files and come back, and calls that must be refused are. Answers
are held against the plain model of `tests.reference`, with the bandwidth of the model,
which must be that of its rows at most a twentieth of changes ago. Prints operations by
kind, answers checked, wrong answers, crashes and the memory of the process over time;
exits with an error where an answer was wrong, an operation crashed or memory crept.
"""

import argparse
import gc
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from knngraph import KNNGraphClassifier, KNNGraphWarning, load_predictor
from knngraph.updating.change import REFRESH_SHARE
from tests.reference import PlainModel, neighbors_sigma

OPERATIONS = {
    "predict": 0.66,
    "partial_fit": 0.135,
    "forget": 0.135,
    "refused": 0.03,
    "look": 0.01,
    "refresh": 0.005,
    "save and load": 0.015,
    "predictor": 0.01,
}
CLASSES = np.array(["a", "b", "c"])
N_FEATURES = 3
FEWEST_ROWS, MOST_ROWS = 20, 60
# Votes that differ by less may fall either way: the solvers stop at a tolerance.
CLOSE = 0.02
# Growth over a run that is no creep: pieces of memory that the allocator keeps.
GROWTH_LIMIT = 6 * 2**20
# One look in so many solves the problems of all rows again.
STORED_CHECKS = 8
SHOWN_TRACEBACKS = 3


@dataclass
class Findings:
    """What a run has seen."""

    done: Counter = field(default_factory=Counter)
    checked: Counter = field(default_factory=Counter)
    wrong: int = 0
    crashes: int = 0
    operation: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def growth(self) -> float:
        """Bytes that the process grew by over the run, by a line fitted to it.

        The first fifth is left out: code is still being loaded there.
        """
        first = len(self.operation) // 5
        operation, resident = self.operation[first:], self.resident[first:]
        if len(operation) < 2:
            return 0.0
        slope, _ = np.polyfit(operation, np.array(resident, dtype=float), 1)
        return float(slope * (operation[-1] - operation[0]))

    @property
    def sound(self) -> bool:
        """Whether nothing is to be reported."""
        return not self.wrong and not self.crashes and self.growth() < GROWTH_LIMIT


class Soak:
    """One model, the rows that it should hold, and operations on both."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.findings = Findings()
        self.X, self.y = self.new_rows(MOST_ROWS // 2)
        self.y[: len(CLASSES)] = CLASSES
        self.ids = np.arange(len(self.y))
        self.n_ids = len(self.y)  # that were ever given
        self.model = KNNGraphClassifier(
            max_neighbors=8,
            density_scales=(3, 7),
            vote="labels",  # as the plain model counts
            metric="euclidean",  # and as it measures
            ef=4 * MOST_ROWS,
            ef_construction=60,
            random_state=0,
        ).partial_fit(self.X, self.y, classes=CLASSES, ids=self.ids)
        self.parameters = self.model.get_params()
        # Bandwidths of the rows that there were, newest last.
        self.sigmas = [(self.sigma(), frozenset(self.ids))]

    def new_rows(self, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Overlapping classes, coordinates that float32 holds after centering."""
        codes = self.random.integers(0, len(CLASSES), n_rows)
        X = self.random.normal(size=(n_rows, N_FEATURES)) + codes[:, None]
        return np.round(X * 2**12) / 2**12, CLASSES[codes]

    def run(self, n_operations: int) -> Findings:
        """Carry out operations in random order."""
        names, weights = zip(*OPERATIONS.items())
        every = max(1, n_operations // 100)
        process = psutil.Process(os.getpid())
        gc.freeze()  # what is loaded by now is not to be searched a hundred times
        with tempfile.TemporaryDirectory() as folder:
            self.folder = Path(folder)
            for number in range(n_operations):
                name = names[self.random.choice(len(names), p=weights)]
                try:
                    getattr(self, "do_" + name.replace(" ", "_"))()
                except Exception:
                    self.findings.crashes += 1
                    if self.findings.crashes <= SHOWN_TRACEBACKS:
                        traceback.print_exc()
                self.findings.done[name] += 1
                if number % every == 0:
                    gc.collect()
                    self.findings.operation.append(number)
                    self.findings.resident.append(process.memory_info().rss)
        return self.findings

    def do_predict(self) -> None:
        """Answer some queries in one of the ways, and check the quick one."""
        queries = self.queries(int(self.random.integers(1, 5)))
        way = self.random.choice(
            ["adaptive", "lookup", "cascade"], p=[0.92, 0.05, 0.03]
        )
        answers = self.model.set_params(inference=way).predict(queries)
        if way == "adaptive":
            plain = self.plain()
            self.check("adaptive", answers[:1], [plain.adaptive_votes(queries[0])])
        elif not np.isin(answers, CLASSES).all():
            self.findings.wrong += 1

    def do_partial_fit(self) -> None:
        """Add rows, some of them copies with any label."""
        n_rows = int(self.random.integers(1, 5))
        if len(self.y) + n_rows > MOST_ROWS:
            return self.do_forget()
        X, y = self.new_rows(n_rows)
        if self.random.random() < 0.3:
            X[0] = self.X[self.random.integers(len(self.X))]
        ids = self.n_ids + np.arange(n_rows)
        self.model.partial_fit(X, y, ids=ids)
        self.n_ids += n_rows
        self.X, self.y = np.concatenate([self.X, X]), np.concatenate([self.y, y])
        self.ids = np.concatenate([self.ids, ids])
        self.note_change()

    def do_forget(self) -> None:
        """Remove rows, named by number, by a mask or by their ids."""
        n_rows = int(self.random.integers(1, 5))
        if len(self.y) - n_rows < FEWEST_ROWS:
            return self.do_partial_fit()
        gone = self.random.choice(len(self.y), n_rows, replace=False)
        mask = np.isin(np.arange(len(self.y)), gone)
        named = {"indices": gone}, {"indices": mask}, {"ids": self.ids[gone]}
        self.model.forget(**named[self.random.integers(3)])
        self.X, self.y, self.ids = self.X[~mask], self.y[~mask], self.ids[~mask]
        self.note_change()

    def do_refresh(self) -> None:
        """Numbers that all rows share become those of the rows there are."""
        self.model.refresh()
        kept = self.model._model.problem.sigma
        self.findings.checked["bandwidth"] += 1
        self.findings.wrong += not np.isclose(kept, self.sigma(), rtol=1e-5)

    def do_refused(self) -> None:
        """Calls that must raise and leave everything as it was."""
        n_rows = len(self.y)
        X, y = self.new_rows(2)
        nan = np.where(np.arange(N_FEATURES) == 1, np.nan, X)
        calls = [
            (self.model.forget, ([n_rows],)),
            (self.model.forget, (np.arange(n_rows),)),
            (partial(self.model.forget, ids=[self.n_ids]), ()),
            (partial(self.model.partial_fit, ids=self.ids[:2]), (X, y)),
            (self.model.partial_fit, (X, ["a", "d"])),
            (self.model.partial_fit, (X[:, :2], y)),
            (self.model.partial_fit, (nan, y)),
            (self.model.predict, (nan,)),
        ]
        call, arguments = calls[self.random.integers(len(calls))]
        try:
            call(*arguments)
        except ValueError:
            return
        self.findings.wrong += 1

    def do_look(self) -> None:
        """Look at what was learned; now and then solve all problems again."""
        model, queries = self.model, self.queries(3)
        n_rows = len(self.y)
        wrong = model.graph_.shape != (n_rows, n_rows) or len(model.labels_) != n_rows
        wrong |= not np.array_equal(model.ids_, self.ids)
        plain = self.plain()
        for explanation, query in zip(model.explain(queries), queries):
            nearest = plain.nodes[plain.nearest(query)[0][0]]
            wrong |= not np.array_equal(self.X[explanation.row], nearest)
            wrong |= explanation.given != self.y[explanation.row]
        self.findings.checked["nearest rows"] += len(queries)
        self.findings.wrong += bool(wrong)
        if self.random.random() * STORED_CHECKS < 1:
            self.check_stored(plain, queries)

    def check_stored(self, plain: PlainModel, queries: np.ndarray) -> None:
        """Lookups and cascades, from the problems of all rows."""
        stored = plain.stored_shares()
        shares = [stored[plain.nearest(query)[0][0]] for query in queries]
        self.check("lookup", self.answers("lookup", queries), shares)
        votes = [plain.adaptive_votes(query) for query in queries]
        self.check("cascade", self.answers("cascade", queries), shares, votes)

    def do_save_and_load(self) -> None:
        """The estimator goes to a file, and another comes back."""
        path = self.folder / "estimator"
        path.write_bytes(pickle.dumps(self.model))
        queries = self.queries(4)
        before = self.model.predict(queries)
        self.model = pickle.loads(path.read_bytes())
        self.compare("loaded", self.model.predict(queries), before)

    def do_predictor(self) -> None:
        """The predictor goes to a file; what comes back answers alike."""
        way = self.random.choice(["adaptive", "lookup", "cascade"])
        queries = self.queries(4)
        expected = self.answers(way, queries)
        path = self.folder / "predictor"
        self.model.to_predictor().save(path)
        self.compare("predictor", load_predictor(path).predict(queries), expected)

    def queries(self, n_queries: int) -> np.ndarray:
        """New rows, and now and then one that the model holds."""
        queries = self.new_rows(n_queries)[0]
        if self.random.random() < 0.2:
            queries[-1] = self.X[self.random.integers(len(self.X))]
        return queries

    def answers(self, way: str, queries: np.ndarray) -> np.ndarray:
        """What the model says."""
        return self.model.set_params(inference=way).predict(queries)

    def sigma(self) -> float:
        """Bandwidth of the rows that there are."""
        return neighbors_sigma(self.X, self.parameters["max_neighbors"])

    def note_change(self) -> None:
        """Keep some bandwidths of late."""
        self.sigmas = [*self.sigmas, (self.sigma(), frozenset(self.ids))][-20:]

    def plain(self) -> PlainModel:
        """The same rows without a memory, but for the bandwidth."""
        kept, now = self.model._model.problem.sigma, frozenset(self.ids)
        most = REFRESH_SHARE * len(now)
        known = [sigma for sigma, ids in self.sigmas if len(ids ^ now) <= most]
        self.findings.checked["bandwidth"] += 1
        self.findings.wrong += not np.isclose(kept, known, rtol=1e-5).any()
        return PlainModel(self.X, self.y, CLASSES, self.parameters, kept)

    def check(self, kind: str, answers: np.ndarray, *references: Any) -> None:
        """An answer must have the largest share, or nearly, in a reference."""
        self.findings.checked[kind] += len(answers)
        for answer, *shares in zip(answers, *references):
            code = int(np.searchsorted(CLASSES, answer))
            if not any(share[code] >= share.max() - CLOSE for share in shares):
                self.findings.wrong += 1

    def compare(self, kind: str, answers: np.ndarray, expected: np.ndarray) -> None:
        """Answers that must be the same."""
        self.findings.checked[kind] += len(answers)
        self.findings.wrong += int((answers != expected).sum())


def report(findings: Findings, seconds: float) -> str:
    """What a run has seen, in words."""
    done, checked = findings.done, findings.checked
    resident = np.array(findings.resident) / 2**20
    tenths = resident[:: max(1, len(resident) // 10)]
    return "\n".join(
        [
            f"operations      {sum(done.values())} in {seconds:.0f} s: "
            + ", ".join(f"{name} {done[name]}" for name in OPERATIONS),
            f"answers checked {sum(checked.values())}: "
            + ", ".join(f"{name} {n}" for name, n in sorted(checked.items())),
            f"wrong answers   {findings.wrong}",
            f"crashes         {findings.crashes}",
            "resident MB     " + " ".join(f"{value:.1f}" for value in tenths),
            f"growth          {findings.growth() / 2**20:+.2f} MB over the last four "
            f"fifths (at most {GROWTH_LIMIT / 2**20:.0f})",
        ]
    )


def soak(n_operations: int, seed: int = 0) -> Findings:
    """Run operations on a new model and print the report."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KNNGraphWarning)
        findings = Soak(seed).run(n_operations)
    print(report(findings, time.perf_counter() - start))
    return findings


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(not soak(arguments.operations, arguments.seed).sound)


if __name__ == "__main__":
    main()
