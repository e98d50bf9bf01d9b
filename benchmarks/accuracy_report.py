"""Tables of the accuracy benchmark, from its CSV."""

from pathlib import Path

import pandas as pd

from benchmarks import excerpts
from benchmarks.machine import COLUMNS as CONDITIONS
from benchmarks.machine import described
from benchmarks.pages import DOCS, marked, table
from benchmarks.rows import read_rows
from benchmarks.statistics import LEAST_SETS, compare, lines_of

RESULTS = Path(__file__).resolve().parent / "results" / "accuracy.csv"
PAGE = DOCS / "measured.md"
TREES = ("random forest", "extra trees", "HistGradientBoosting")
# Rows of the table that the chart of the README and the guide repeat.
SHORT_LIST = (
    "1-NN",
    "5-NN",
    "CV-kNN",
    "OWA, tuned",
    "SVC",
    *TREES,
    "lookup (ef=1)",
    "lookup (ef=auto)",
    "cascade",
    "adaptive",
    "adaptive, metric=trees",
    "KNNGraphClassifierCV",
)
SHOWN_BY_SET = (
    *SHORT_LIST[:-1],
    "adaptive, vote=labels",
    "lookup (ef=1), metric=euclidean",
    "lookup (ef=auto), metric=euclidean",
    SHORT_LIST[-1],
)
REFERENCE, DEFAULT, PLAIN = "CV-kNN", "lookup (ef=1)", "5-NN"
# Points of accuracy up to which two means are level.
TIE = 0.05
N_FOLDS = 5
CHOOSING = SHORT_LIST[-1]
QUANTITIES = ["accuracy", "log_loss", "auc", "us_per_query", "short_share"]
# What stands beside an accuracy, and how it is named.
PROBABILITIES = {"log_loss": "log loss", "auc": "AUC"}
FORMS = {"accuracy": ".2f", "log_loss": ".3f", "auc": ".3f"}


def read(path: Path | None = None) -> pd.DataFrame:
    """The rows, numbers as numbers and accuracies in percent; nan where empty."""
    path = path or RESULTS
    if not path.exists():
        raise SystemExit(f"{path} is missing: run `python -m benchmarks.accuracy run`.")
    rows = read_rows(path)
    rows[QUANTITIES] = rows[QUANTITIES].apply(pd.to_numeric)
    rows["accuracy"] *= 100.0
    return rows


def of_sets(rows: pd.DataFrame, quantity: str, how: str = "mean") -> pd.DataFrame:
    """A quantity over the folds: a row a set, a column a method in the file's order."""
    folds = rows.dropna(subset=quantity).groupby(["set", "method"])[quantity]
    return folds.agg(how).unstack("method").reindex(columns=rows["method"].unique())


def probability_cells(rows: pd.DataFrame, sets: pd.Index) -> pd.DataFrame:
    """Mean log loss and AUC on some sets, as text; empty where a set has none."""
    cells = {}
    for quantity, name in PROBABILITIES.items():
        means = of_sets(rows, quantity).reindex(sets).mean(skipna=False)
        cells[name] = means.map(lambda mean: "" if pd.isna(mean) else f"{mean:.3f}")
    return pd.DataFrame(cells).reindex(rows["method"].unique()).fillna("")


def summary(means: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Mean, rank and comparison of methods on sets that all of them have."""
    reference = REFERENCE if REFERENCE in means else means.columns[0]
    heads = ["method", f"mean of {len(means)} sets", "mean rank", f"- {reference}"]
    found = compare(means, reference, TIE)
    beside = probability_cells(rows, means.index).loc[found.index]
    lines = lines_of(found, reference, digits=1)
    return table(
        [*heads, "wins / ties / losses", "p (Wilcoxon)", *beside],
        [[*line, *cells] for line, cells in zip(lines, beside.to_numpy())],
    )


def summaries(means: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Of the methods that every set has, then of the sets that more methods share.

    For the second, methods measured on fewer than four fifths of the sets stay out,
    then sets that a remaining method lacks.
    """
    everywhere = means.dropna(axis=1)
    often = means.loc[:, means.notna().mean() >= 0.8]
    shared = often.dropna()
    blocks = [] if everywhere.empty else [summary(everywhere, rows)]
    if shared.shape != everywhere.shape:
        blocks += ["On the sets that more methods share:", summary(shared, rows)]
    lacking = [
        f"- {name} is left out: not measured for {', '.join(row.index[row.isna()])}"
        for name, row in often.iterrows()
        if row.isna().any()
    ]
    lacking += [
        f"- {method} is left out: measured on {means[method].count()} sets only"
        for method in means.columns.difference(often.columns, sort=False)
    ]
    return [*blocks, "\n".join(lacking)] if lacking else blocks


def by_set(rows: pd.DataFrame, quantity: str = "accuracy", digits: int = 1) -> str:
    """Mean and spread over the folds of chosen methods, set by set."""
    measured = rows.dropna(subset=quantity).groupby(["set", "method"])[quantity]
    folds = measured.agg(["mean", "std", "count"])
    few = f" of {N_FOLDS} folds)"
    cells = folds.apply(
        lambda of: (
            f"{of['mean']:.{digits}f} ± {of['std']:.{digits}f}"
            + (f" ({of['count']:.0f}{few}" if of["count"] < N_FOLDS else "")
        ),
        axis=1,
    )
    shown = [m for m in SHOWN_BY_SET if m in set(folds.index.get_level_values(1))]
    cells = cells.unstack("method").reindex(columns=shown).fillna("")
    return table(["set", *shown], cells.reset_index().to_numpy())


def cascade_figures(rows: pd.DataFrame) -> str:
    """What a cascade loses and saves against adaptive inference."""
    accuracy = of_sets(rows, "accuracy")[["cascade", "adaptive", "1-NN"]].dropna()
    cost = of_sets(rows, "us_per_query", "median").loc[accuracy.index]
    share = of_sets(rows, "short_share").loc[accuracy.index, "cascade"]
    loss = accuracy["adaptive"] - accuracy["cascade"]
    beside = [
        f"- mean {name}: {means['cascade']:.3f}, of adaptive {means['adaptive']:.3f}\n"
        for quantity, name in PROBABILITIES.items()
        for means in [of_sets(rows, quantity).loc[accuracy.index].mean()]
        if means[["cascade", "adaptive"]].notna().all()
    ]
    ratio = cost["cascade"] / cost["adaptive"]
    easy = ratio[accuracy["1-NN"] > 85]
    where = f"where 1-NN is above 85 % {easy.mean():.2f}" if len(easy) else ""
    return (
        f"- loss of accuracy against adaptive: mean {loss.mean():.2f} points, "
        f"largest {loss.max():.2f}\n{''.join(beside)}"
        f"- share of queries answered by a stored label: mean {share.mean():.2f}\n"
        f"- time a query against adaptive: mean of the ratios {ratio.mean():.2f}; "
        + where
    )


def probability_figures(rows: pd.DataFrame) -> str:
    """Log losses and areas under ROC, and sets on which a log loss is below others."""
    losses = of_sets(rows, "log_loss").dropna(axis=1)
    areas = of_sets(rows, "auc").dropna(axis=1)
    rivals = [name for name in ("CV-kNN, distance", *TREES) if name in losses]
    return table(
        ["method", "mean log loss", "mean AUC", *(f"sets below {r}" for r in rivals)],
        [
            [
                method,
                f"{of.mean():.3f}",
                f"{areas[method].mean():.3f}" if method in areas else "",
                *(f"{of.lt(losses[rival]).sum()} of {len(of)}" for rival in rivals),
            ]
            for method, of in losses.items()
        ],
    )


def choice_figures(accuracy: pd.DataFrame) -> str:
    """What the choice among maps loses against the best of them, set by set."""
    maps = [name for name in accuracy if name.startswith(f"{CHOOSING}, metric=")]
    lost = (accuracy[maps].max(axis=1) - accuracy[CHOOSING]).dropna()
    return (
        f"- loss of accuracy of {CHOOSING} against the best of its own maps: mean "
        f"{lost.mean():.2f} points, largest {lost.max():.2f} ({lost.idxmax()}); more "
        f"than two points on {(lost > 2.0).sum()} of {len(lost)} sets"
    )


def report(page: Path) -> str:
    """All tables as Markdown, with the option that writes them to the page."""
    title = "Measured accuracy" if page == PAGE else f"Measured {page.stem}"
    option = "--write-docs" if page == PAGE else f"--page docs/{page.name}"
    rows = read()
    blocks = [
        f"# {title}",
        f"Generated by `python -m benchmarks.accuracy report {option}` from the "
        "rows that `python -m benchmarks.accuracy run` wrote; nothing here is typed "
        "in. Five stratified folds, the same for all methods; StandardScaler in front "
        "of tabular sets, rows of text at unit length. `noise` is the share of "
        "training labels that were replaced by another class; test labels are "
        "clean. Sets above `max_rows` rows are a random sample of so many (0: all "
        "rows). The grid of the SVC (C 1, 10, 100; gamma 0.3, 1, 3 times "
        "1/(d var)) is searched on 1500 training rows; that of CV-kNN is k 1 to 30 "
        "with both weightings; 5-NN is `KNeighborsClassifier` as it comes, and so are "
        "the forests and `HistGradientBoostingClassifier`. AUC is the mean area under "
        "the ROC curve of a class against the rest. Our classifiers have their default "
        "settings unless the name says otherwise. ± is the standard deviation over the "
        "folds. Wins, "
        f"ties and losses count sets, level within {TIE} points; p is of Wilcoxon's "
        f"signed-rank test over the sets, Holm-adjusted, with {LEAST_SETS} sets or "
        "more.",
        *measured_on(rows),
    ]
    if page == PAGE:
        blocks += ["## In short", marked("in short", in_short(rows))]
    for (noise, max_rows), part in rows.groupby(["noise", "max_rows"]):
        accuracy = of_sets(part, "accuracy")
        blocks += [f"## noise {noise}, max_rows {max_rows}"]
        blocks += summaries(accuracy, part)
        blocks += ["Accuracy in percent, mean ± spread over the folds:", by_set(part)]
        for quantity, name in PROBABILITIES.items():
            if part[quantity].notna().any():
                heading = f"{name[0].upper()}{name[1:]}, mean ± spread over the folds:"
                blocks += [heading, by_set(part, quantity, digits=3)]
        if {"cascade", "adaptive", "1-NN"} <= set(accuracy):
            blocks += ["Cascade:", cascade_figures(part)]
        if f"{CHOOSING}, metric=trees" in accuracy and CHOOSING in accuracy:
            blocks += ["The choice among maps:", choice_figures(accuracy)]
        if part["log_loss"].notna().any():
            blocks += ["Probabilities:", probability_figures(part)]
    return "\n\n".join(blocks) + "\n"


def measured_on(rows: pd.DataFrame) -> list[str]:
    """Versions and machines of the rows, as sentences."""
    if not set(CONDITIONS) <= set(rows):
        return []
    found = rows[list(CONDITIONS)].drop_duplicates().to_dict("records")
    return [f"Measured on: {described(one)}." for one in found]


def in_short(rows: pd.DataFrame) -> str:
    """Means with and without wrong training labels, times, and a count of wins."""
    clean, noisy = (
        _first(rows[rows["noise"].astype(float) == noise]) for noise in (0.0, 0.2)
    )
    accuracy = of_sets(clean, "accuracy").dropna(axis=1)
    noisy = of_sets(noisy, "accuracy").dropna(axis=1).mean()
    cost = of_sets(clean, "us_per_query", "median").median()
    shown = [method for method in SHORT_LIST if method in accuracy]
    beside = probability_cells(clean, accuracy.index)
    text = table(
        (
            "method",
            "mean accuracy, %",
            "with 20 % wrong training labels, %",
            "microseconds a query",
            *beside,
        ),
        [
            (
                method,
                f"{accuracy[method].mean():.1f}",
                f"{noisy[method]:.1f}" if method in noisy else "",
                f"{cost[method]:.0f}",
                *beside.loc[method],
            )
            for method in shown
        ],
    )
    if {DEFAULT, PLAIN} <= set(accuracy):
        found = compare(accuracy[[DEFAULT, PLAIN]], PLAIN, TIE).loc[DEFAULT]
        text += (
            "\n\n`KNNGraphClassifier()` as it comes (lookup, ef=1) against "
            "`KNeighborsClassifier(5)`, same scaling, same folds: "
            f"{found['wins']:.0f} wins, {found['ties']:.0f} ties, "
            f"{found['losses']:.0f} losses over {len(accuracy)} sets, "
            f"{found['gain']:+.1f} points on the mean."
        )
    return text


def _first(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the first number of rows that sets were cut to."""
    return rows[rows["max_rows"] == rows["max_rows"].min()]


def compared(before: Path, after: Path) -> str:
    """Two files beside each other on the sets and folds of a method that both have.

    Wins and losses count sets whose mean accuracy differs by more than a tie.
    """
    key = ["noise", "max_rows", "method", "set"]
    both = read(before).merge(
        read(after), on=[*key, "fold"], suffixes=(" before", " after")
    )
    figures = both.filter(regex=" (before|after)$").columns
    sets = both.groupby(key, sort=False)[list(figures)].mean(numeric_only=True)
    gain = sets["accuracy after"] - sets["accuracy before"]
    sets = sets.assign(wins=gain > TIE, losses=gain < -TIE, sets=1)
    blocks = []
    for (noise, max_rows), part in sets.groupby(["noise", "max_rows"]):
        methods = part.groupby("method", sort=False)
        counts, means = methods[["sets", "wins", "losses"]].sum(), methods.mean()
        shown = {"sets": counts["sets"]}
        for quantity, form in FORMS.items():
            own, other = (means[f"{quantity} {when}"] for when in ("before", "after"))
            name = PROBABILITIES.get(quantity, quantity)
            shown[f"{name} before"] = own.map(f"{{:{form}}}".format)
            shown[f"{name} after"] = other.map(f"{{:{form}}}".format)
            shown[f"{name} difference"] = (other - own).map(f"{{:+{form}}}".format)
        shown["wins"], shown["losses"] = counts["wins"], counts["losses"]
        lines = pd.DataFrame(shown).replace(r"\+?nan", "", regex=True).reset_index()
        blocks += [f"## noise {noise}, max_rows {max_rows}"]
        blocks += [table(list(lines), lines.to_numpy())]
    return "\n\n".join(blocks)


def write_report(write_docs: bool, page: Path | None = None) -> None:
    """Print the tables, or put them and their excerpts into the documentation.

    Or into another page alone: for a run on fewer rows that compares less.
    """
    if page is not None:
        page.write_text(report(page))
    elif write_docs:
        PAGE.write_text(report(PAGE))
        excerpts.write()
    else:
        print(report(PAGE))
