"""Whether the columns that decide come first, on made rows where they are known.

    python -m benchmarks.relevance [--n-rows 500] [--seeds 5] [--write-docs]

Columns are ranked three ways: by `feature_relevance_`, by the mean shares of the
voters in explanations of new rows, and by the permutation importance of the same model
on those rows. `--write-docs` puts the tables into docs/explain.md.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr
from sklearn.inspection import permutation_importance

from benchmarks.command import parser_of, publish
from benchmarks.pages import DOCS, table
from knngraph import KNNGraphClassifier

METRICS = ("euclidean", "auto", "trees")
GRADED = np.array([4.0, 3.0, 2.0, 1.5, 1.0, 0.5])


def linear(X: np.ndarray) -> np.ndarray:
    """Four columns decide, with unequal weights."""
    return X[:, :4] @ [4.0, 3.0, 2.0, 1.5] > 0


def exclusive_or(X: np.ndarray) -> np.ndarray:
    """Two columns decide, neither of them alone."""
    return (X[:, 0] > 0) ^ (X[:, 1] > 0)


def forty_useless(X: np.ndarray) -> np.ndarray:
    """Three columns of 43 decide, two of them together as well."""
    return X[:, :3].sum(axis=1) + X[:, 0] * X[:, 1] > 0


def graded(X: np.ndarray) -> np.ndarray:
    """Six columns decide, each more than the next."""
    return X @ GRADED > 0


# Name, labels, number of columns and of those that decide, which are the first.
PROBLEMS: list[tuple[str, Callable[[np.ndarray], np.ndarray], int, int]] = [
    ("linear, 4 of 10", linear, 10, 4),
    ("exclusive or, 2 of 6", exclusive_or, 6, 2),
    ("40 useless columns, 3 of 43", forty_useless, 43, 3),
]


def rankings(
    label: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int], metric: str, seed
) -> tuple[str, float, list[np.ndarray]]:
    """Metric that was kept, accuracy, and amounts by which the columns are ranked."""
    random = np.random.default_rng(seed)
    X, new = random.normal(size=shape), random.normal(size=shape)
    model = KNNGraphClassifier(inference="adaptive", metric=metric, random_state=0)
    model.fit(X, label(X))
    new_labels = label(new)
    voters = [v for e in model.explain(new[:100]) for v in e.voters]
    permuted = permutation_importance(model, new, new_labels, random_state=0)
    amounts = [
        model.feature_relevance_,
        sum(v.weight * v.shares for v in voters) / 100,
        permuted.importances_mean,
    ]
    return model.metric_, model.score(new, new_labels), amounts


def comes_first(amounts: np.ndarray, n_right: int) -> bool:
    """Whether the columns that decide have the largest amounts."""
    return bool(amounts[:n_right].min() > amounts[n_right:].max())


def main() -> None:
    """Rank the columns of every problem, and count where the right ones come first."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--n-rows", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    seeds, lines, agreements = range(options.seeds), [], []
    for name, label, n_columns, n_right in PROBLEMS:
        shape = options.n_rows, n_columns
        for metric in METRICS:
            found = [rankings(label, shape, metric, seed) for seed in seeds]
            first = [[comes_first(a, n_right) for a in each[2]] for each in found]
            share = np.mean([each[2][0][:n_right].sum() for each in found])
            kept = " / ".join(sorted({each[0] for each in found}))
            accuracy = np.mean([each[1] for each in found])
            counts = [f"{n} of {options.seeds}" for n in np.sum(first, axis=0)]
            lines.append([name, kept, f"{accuracy:.3f}", *counts, f"{share:.2f}"])
    for metric in METRICS:
        shape = options.n_rows, len(GRADED)
        found = [rankings(graded, shape, metric, seed)[2] for seed in seeds]
        ranks = [[spearmanr(a, each[2])[0] for a in each[:2]] for each in found]
        truth = [[spearmanr(a, GRADED)[0] for a in each] for each in found]
        both = [*np.mean(ranks, axis=0), *np.mean(truth, axis=0)]
        agreements.append([f'"{metric}"', *(f"{rank:.2f}" for rank in both)])
    kinds = ["`feature_relevance_`", "voters' shares", "permutation"]
    heads = ["problem", "metric kept", "accuracy", *kinds, "their relevance"]
    pairs = [f"{kind}, permutation" for kind in kinds[:2]]
    pairs += [f"{kind}, truth" for kind in kinds]
    text = (
        f"`python -m benchmarks.relevance --write-docs`, {options.n_rows} rows, "
        f"{options.seeds} seeds; in how many the columns that decide come first:\n\n"
        + table(heads, lines)
        + "\n\nSix columns that all decide, each more than the next; mean rank "
        "correlation (Spearman) with permutation importance, and with the true weights:"
        "\n\n" + table(["metric", *pairs], agreements)
    )
    publish(text, DOCS / "explain.md", "relevance", options)


if __name__ == "__main__":
    main()
