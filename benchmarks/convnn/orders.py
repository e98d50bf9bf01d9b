"""What the poster and its authors' logs say is above what, and whether it is here."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.convnn.outcomes import Estimate, Outcomes, Published
from benchmarks.convnn.plans import Run

HOLDS, REVERSED, OPEN, ONE_SEED = "holds", "reversed", "open", "one seed"
_LOGS = "authors' logs"


class Order(NamedTuple):
    """One published order: a net is above another one, or below.

    Parameters
    ----------
    name : str
        What is compared, as the table has it.
    metric : str
    run, other : Run
    published : float
        Difference of `run` to `other`: points of accuracy, or loss.
    source : str
    """

    name: str
    metric: str
    run: Run
    other: Run
    published: float
    source: str

    def measured(self, outcomes: Outcomes) -> Estimate:
        """The same difference here, over the seeds."""
        found = outcomes.difference(self.metric, self.run, self.other)
        return found.times(100.0 if self.metric == "accuracy" else 1.0)


def verdict(published: float, measured: Estimate) -> str:
    """Whether the 95 % interval over the seeds is all on the side that is published."""
    if np.isnan(measured.error):
        return ONE_SEED if measured.n_seeds else ""
    low, high = measured.interval()
    if low <= 0.0 <= high:
        return OPEN
    return HOLDS if (low > 0.0) == (published > 0.0) else REVERSED


def orders(recipes: list[str]) -> Iterator[Order]:
    """The orders, between nets of the recipes of a preset.

    Parameters
    ----------
    recipes : list of str
        The first is held against the poster, a `good rate` against the logs at rates
        where plain convolution does best.
    """
    published = Published()
    plain = Run(recipe=recipes[0])

    def of(ratio: float, mode: str = "features/features", **others: object) -> Run:
        compared, gathered = mode.split("/")
        return replace(
            plain, ratio=ratio, compared=compared, gathered=gathered, **others
        )

    def order(
        name: str, metric: str, run: Run, other: Run, tables: str, at: str = "1e-05"
    ) -> Order:
        theirs, source = metric, ""
        if tables.startswith(_LOGS):
            theirs, source = "best_accuracy", tables
        above, below = (published.of(theirs, one, at, source) for one in (run, other))
        return Order(name, metric, run, other, above - below, tables)

    for ratio in (0.125, 0.25, 0.5, 0.75, 1.0):
        yield order(
            f"ratio {ratio:g} to convolution (ratio 0)",
            "accuracy",
            of(ratio),
            plain,
            "Table 1",
        )
    yield order(
        "ratio 0.25 to convolution, hybrid / hybrid",
        "accuracy",
        of(0.25, "hybrid/hybrid"),
        plain,
        "Table 3",
    )
    for ratio in (0.25, 0.5):
        yield order(
            f"test loss of ratio {ratio:g} to that of convolution",
            "test_loss",
            of(ratio),
            plain,
            "Table 1",
        )
    for ratio in (0.25, 1.0):
        yield order(
            f"hybrid / hybrid to features / features, ratio {ratio:g}",
            "accuracy",
            of(ratio, "hybrid/hybrid"),
            of(ratio),
            "Tables 1 and 3",
        )
    yield order(
        "hybrid / hybrid to hybrid / features, ratio 1",
        "accuracy",
        of(1.0, "hybrid/hybrid"),
        of(1.0, "hybrid/features"),
        "Tables 2 and 3",
    )
    own = of(0.25, "hybrid/hybrid")
    yield order(
        "16 grid candidates to all, ratio 0.25, hybrid / hybrid",
        "accuracy",
        replace(own, candidates="grid", n_candidates=16),
        own,
        "figure",
    )
    yield order(
        "9 neighbors to 1 (the position itself), ratio 0.5",
        "accuracy",
        of(0.5),
        of(0.5, n_neighbors=1),
        f"{_LOGS}, mean of 4",
        "0.0001",
    )
    if "good rate" in recipes:
        yield order(
            "ratio 0.5 to convolution, at a good rate",
            "accuracy",
            of(0.5, recipe="good rate"),
            of(0.0, recipe="good rate"),
            _LOGS,
            "0.0005",
        )
    vit = Run(net="vit", mixer="convnn", recipe="vit")
    attention = replace(vit, mixer="attention", n_neighbors=0)
    for name, run in (
        ("all candidates", vit),
        ("32 random candidates", replace(vit, candidates="random", n_candidates=32)),
    ):
        yield order(
            f"ConvNN with {name} to attention, in a ViT",
            "accuracy",
            run,
            attention,
            _LOGS,
            "",
        )
