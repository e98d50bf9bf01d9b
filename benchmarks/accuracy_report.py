"""Tables of the accuracy benchmark, from its CSV."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks import excerpts
from benchmarks.machine import COLUMNS as CONDITIONS
from benchmarks.machine import described
from benchmarks.pages import marked, table
from benchmarks.rows import read_rows
from benchmarks.statistics import (
    LEAST_SETS,
    average_ranks,
    holm,
    mean_and_spread,
    signed_rank_p,
    win_tie_loss,
)

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "accuracy.csv"
DOCS = ROOT.parent / "docs" / "measured.md"
# Rows of the table that README and guide repeat.
SHORT_LIST = (
    "1-NN",
    "CV-kNN",
    "OWA, tuned",
    "SVC",
    "lookup (ef=1)",
    "lookup (ef=auto)",
    "cascade",
    "adaptive",
    "cascade, metric=auto",
    "adaptive, metric=auto",
    "KNNGraphClassifierCV",
)
REFERENCE = "CV-kNN"
# Points of accuracy up to which two means are level.
TIE = 0.05
N_FOLDS = 5

Table = dict[str, dict[str, list[float]]]


def read() -> dict[tuple[str, str], dict[str, Table]]:
    """Values by (noise, max_rows), quantity, method and set."""
    if not RESULTS.exists():
        raise SystemExit(
            f"{RESULTS} is missing: run `python -m benchmarks.accuracy run`."
        )
    tables: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for row in read_rows(RESULTS):
        for quantity in ("accuracy", "log_loss", "us_per_query", "short_share"):
            if row[quantity]:
                table = tables[row["noise"], row["max_rows"]][quantity]
                values = table[row["method"]].setdefault(row["set"], [])
                values.append(float(row[quantity]))
    return tables


def compared(accuracy: Table) -> tuple[list[str], list[str]]:
    """Sets and methods of a comparison in which every set has every method.

    Methods measured on fewer than four fifths of the sets stay out, then sets
    that a remaining method lacks.
    """
    sets = sorted(set.union(*(set(by_set) for by_set in accuracy.values())))
    methods = [m for m in accuracy if len(accuracy[m]) >= 0.8 * len(sets)]
    return [s for s in sets if all(s in accuracy[m] for m in methods)], methods


def left_out(accuracy: Table) -> list[str]:
    """Say what the comparison leaves out, and for which method."""
    lines = []
    sets, methods = compared(accuracy)
    for name in sorted(set.union(*(set(by_set) for by_set in accuracy.values()))):
        lacking = [m for m in methods if name not in accuracy[m]]
        if name not in sets:
            lines.append(f"- {name} is left out: not measured for {', '.join(lacking)}")
    for method in accuracy:
        if method not in methods:
            n = len(accuracy[method])
            lines.append(f"- {method} is left out: measured on {n} sets only")
    return ["", *lines] if lines else []


def on_all_sets(accuracy: Table) -> tuple[list[str], list[str]]:
    """All sets, and the methods that were measured on each of them."""
    sets = sorted(set.union(*(set(by_set) for by_set in accuracy.values())))
    return sets, [m for m in accuracy if set(accuracy[m]) == set(sets)]


def summary(accuracy: Table, sets: list[str], complete: list[str]) -> list[str]:
    """Mean, rank and comparison of methods on sets that all of them have."""
    means = np.array([[100 * np.mean(accuracy[m][s]) for s in sets] for m in complete])
    ranks = average_ranks(means)
    lines = [
        f"| method | mean of {len(sets)} sets | mean rank | - {REFERENCE} "
        "| wins / ties / losses | p (Wilcoxon) |",
        "|---|---|---|---|---|---|",
    ]
    reference = means[complete.index(REFERENCE)] if REFERENCE in complete else None
    p_values = holm(
        [
            None if reference is None or m == REFERENCE else signed_rank_p(v, reference)
            for m, v in zip(complete, means)
        ]
    )
    for place in np.argsort(-means.mean(axis=1)):
        row = f"| {complete[place]} | {means[place].mean():.2f} "
        row += f"| {ranks[place]:.2f} "
        if reference is None or complete[place] == REFERENCE:
            lines.append(row + "| | | |")
        else:
            lines.append(row + _against(means[place], reference, p_values[place]))
    return lines


def _against(values: np.ndarray, reference: np.ndarray, p: float | None) -> str:
    gain = values - reference
    wins, ties, losses = win_tie_loss(values, reference, margin=TIE)
    shown = "no test" if p is None else f"{p:.1g}"
    return f"| {gain.mean():+.2f} | {wins} / {ties} / {losses} | {shown} |"


def by_set(accuracy: Table, methods: list[str]) -> list[str]:
    """Mean and spread over the folds of chosen methods, set by set."""
    sets = sorted(set.union(*(set(of_method) for of_method in accuracy.values())))
    lines = ["| set | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for name in sets:
        cells = []
        for method in methods:
            values = 100 * np.array(accuracy[method].get(name, []))
            text = ""
            if len(values):
                mean, spread = mean_and_spread(values)
                text = f"{mean:.1f} ± {spread:.1f}"
            if 0 < len(values) < N_FOLDS:
                text += f" ({len(values)} of {N_FOLDS} folds)"
            cells.append(text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def cascade_figures(tables: dict[str, Table]) -> list[str]:
    """What a cascade loses and saves against adaptive inference."""
    accuracy, cost = tables["accuracy"], tables["us_per_query"]
    share = tables["short_share"]["cascade"]
    sets = [s for s in sorted(accuracy["cascade"]) if s in accuracy["1-NN"]]
    loss = [
        100 * (np.mean(accuracy["adaptive"][s]) - np.mean(accuracy["cascade"][s]))
        for s in sets
    ]
    ratio = np.array(
        [np.median(cost["cascade"][s]) / np.median(cost["adaptive"][s]) for s in sets]
    )
    easy = np.array([np.mean(accuracy["1-NN"][s]) > 0.85 for s in sets])
    return [
        f"- loss of accuracy against adaptive: mean {np.mean(loss):.2f} points, "
        f"largest {np.max(loss):.2f}",
        f"- share of queries answered by a stored label: mean "
        f"{np.mean([np.mean(share[s]) for s in sets]):.2f}",
        f"- time a query against adaptive: mean of the ratios {ratio.mean():.2f}; "
        + (f"where 1-NN is above 85 % {ratio[easy].mean():.2f}" if easy.any() else ""),
    ]


def log_loss_figures(losses: Table) -> list[str]:
    """Log losses, and on how many sets each is below distance-weighted kNN."""
    rival = losses["CV-kNN, distance"]
    lines = [
        "| method | mean log loss | sets below CV-kNN, distance |",
        "|---|---|---|",
    ]
    for method, of_method in losses.items():
        sets = [s for s in of_method if s in rival]
        below = sum(np.mean(of_method[s]) < np.mean(rival[s]) for s in sets)
        mean = np.mean([np.mean(of_method[s]) for s in sets])
        lines.append(f"| {method} | {mean:.3f} | {below} of {len(sets)} |")
    return lines


def report(page: Path = DOCS) -> str:
    """All tables as Markdown, with the option that writes them to the page."""
    title = "Measured accuracy" if page == DOCS else f"Measured {page.stem}"
    option = "--write-docs" if page == DOCS else f"--page docs/{page.name}"
    lines = [
        f"# {title}",
        "",
        f"Generated by `python -m benchmarks.accuracy report {option}` from the "
        "rows that `python -m benchmarks.accuracy run` wrote; nothing here is typed "
        "in. Five stratified folds, the same for all methods; StandardScaler in front "
        "of tabular sets, rows of text at unit length. `noise` is the share of "
        "training labels that were replaced by another class; test labels are "
        "clean. Sets above `max_rows` rows are a random sample of so many (0: all "
        "rows). The grid of the SVC (C 1, 10, 100; gamma 0.3, 1, 3 times "
        "1/(d var)) is searched on 1500 training rows; that of CV-kNN is k 1 to 30 "
        "with both weightings. Our classifiers have their default settings unless "
        "the name says otherwise. ± is the standard deviation over the folds. Wins, "
        f"ties and losses count sets, level within {TIE} points; p is of Wilcoxon's "
        f"signed-rank test over the sets, Holm-adjusted, with {LEAST_SETS} sets or "
        "more.",
        *(f"\n{line}" for line in measured_on()),
    ]
    if page == DOCS:
        lines += ["", "## In short", "", marked("in short", short_table())]
    for (noise, max_rows), tables in sorted(read().items()):
        accuracy = tables["accuracy"]
        lines += ["", f"## noise {noise}, max_rows {max_rows}", ""]
        lines += summary(accuracy, *on_all_sets(accuracy))
        if compared(accuracy) != on_all_sets(accuracy):
            lines += ["", "On the sets that more methods share:", ""]
            lines += summary(accuracy, *compared(accuracy))
        lines += left_out(accuracy)
        shown = [
            m
            for m in (
                "1-NN", "CV-kNN", "OWA, tuned", "SVC", "lookup (ef=1)",
                "lookup (ef=auto)", "cascade", "adaptive, vote=labels", "adaptive",
                "adaptive, metric=auto",
                "KNNGraphClassifierCV",
            )
            if m in accuracy
        ]  # fmt: skip
        lines += ["", "Accuracy in percent, mean ± spread over the folds:", ""]
        lines += by_set(accuracy, shown)
        if {"cascade", "adaptive", "1-NN"} <= set(accuracy):
            lines += ["", "Cascade:", "", *cascade_figures(tables)]
        if "CV-kNN, distance" in tables["log_loss"]:
            lines += ["", "Probabilities:", "", *log_loss_figures(tables["log_loss"])]
    return "\n".join(lines) + "\n"


def measured_on() -> list[str]:
    """Versions and machines of the rows, as sentences."""
    found = {
        tuple(row[name] for name in CONDITIONS): None
        for row in read_rows(RESULTS)
        if set(CONDITIONS) <= set(row)
    }
    return [f"Measured on: {described(dict(zip(CONDITIONS, one)))}." for one in found]


def short_table() -> str:
    """Means with and without wrong training labels, and the time of a query."""
    tables = read()
    clean, noisy = _of_noise(tables, 0.0), _of_noise(tables, 0.2)
    rows = [
        (
            method,
            _mean(clean["accuracy"], method),
            _mean(noisy["accuracy"], method) if noisy else "",
            f"{_median_cost(clean['us_per_query'], method):.0f}",
        )
        for method in SHORT_LIST
        if _mean(clean["accuracy"], method)
    ]
    return table(
        (
            "method",
            "mean accuracy, %",
            "with 20 % wrong training labels, %",
            "microseconds a query",
        ),
        rows,
    )


def _of_noise(tables: dict, noise: float) -> dict[str, Table]:
    found = [tables[key] for key in sorted(tables) if float(key[0]) == noise]
    return found[0] if found else {}


def _mean(accuracy: Table, method: str) -> str:
    sets, methods = on_all_sets(accuracy)
    if method not in methods:
        return ""
    return f"{np.mean([100 * np.mean(accuracy[method][s]) for s in sets]):.1f}"


def _median_cost(cost: Table, method: str) -> float:
    return float(np.median([np.median(values) for values in cost[method].values()]))


def write_report(write_docs: bool, page: Path | None = None) -> None:
    """Print the tables, or put them and their excerpts into the documentation.

    Or into another page alone: for a run on fewer rows that compares less.
    """
    if page is not None:
        page.write_text(report(page))
    elif write_docs:
        DOCS.write_text(report(DOCS))
        excerpts.write()
    else:
        print(report())
