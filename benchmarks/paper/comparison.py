"""Statistics of the report: ranks, wins and losses, and tests where they may be."""

from collections.abc import Mapping, Sequence

from benchmarks.paper.methods import REFERENCE
from benchmarks.paper.results import Published, Results
from benchmarks.report.blocks import Heading, Paragraph, Table
from benchmarks.statistics import LEAST_SETS, Comparison, compare

_RULE = (
    "Wins, ties and losses count sets. p is of Wilcoxon's signed-rank test over the "
    f"sets, two-sided, Holm-adjusted, and only with {LEAST_SETS} sets or more; a "
    "method is bold only where p is below 0.05."
)


def comparison_blocks(
    results: Results,
    published: Mapping[tuple[str, str, str], Published],
    methods: Sequence[str],
) -> list:
    """The comparison of accuracies, measured and as published."""
    blocks: list = [Heading("Comparison of accuracies"), Paragraph(_RULE)]
    means = results.means("accuracy")
    # A method that lacks sets others have would shrink the comparison for all.
    most = max((len(by_set) for by_set in means.values()), default=0)
    full = {m: means[m] for m in methods if m in means and len(means[m]) == most}
    if most and REFERENCE in full:
        sets, found = compare(full, REFERENCE)
        caption = (
            f"Measured here, on {', '.join(sets)}; differences are to `{REFERENCE}`"
        )
        blocks.append(comparison_table(found, caption))
    printed: dict[str, dict[str, float]] = {}
    for (metric, method, name), figure in published.items():
        if metric == "accuracy":
            printed.setdefault(method, {})[name] = figure.value
    sets, found = compare(printed, "kNN-Graph")
    caption = (
        f"Published (Table 1), on {len(sets)} sets; differences are to kNN-Graph; the "
        "statistics are ours"
    )
    blocks.append(comparison_table(found, caption))
    return blocks


def comparison_table(found: Sequence[Comparison], caption: str) -> Table:
    """Comparisons as a table."""
    rows = []
    for one in found:
        name = f"**{one.method}**" if one.is_significant else one.method
        row = [name, f"{one.mean:.2f}", f"{one.rank:.2f}"]
        if one.gain is None:
            row += ["", "", ""]
        else:
            row += [
                f"{one.gain:+.2f}",
                f"{one.wins} / {one.ties} / {one.losses}",
                "no test" if one.p is None else f"{one.p:.2g}",
            ]
        rows.append(row)
    header = ["method", "mean", "mean rank", "difference", "wins / ties / losses", "p"]
    return Table(header, rows, caption)


def losing_lines(results: Results, sets: Sequence[str]) -> list[str]:
    """Who is above the published method, set by set."""
    lines = []
    for name in sets:
        own = results.mean("accuracy", REFERENCE, name)
        if own is None:
            lines.append(f"{name}: `{REFERENCE}` was not measured.")
            continue
        means = {
            method: results.mean("accuracy", method, name)
            for method in results.values["accuracy"]
            if method != REFERENCE
        }
        above = {m: v for m, v in means.items() if v is not None and v > own + 1e-9}
        ranked = sorted(above, key=lambda m: -above[m])
        text = "; ".join(f"{m} {above[m]:.2f}" for m in ranked) or "none"
        lines.append(
            f"{name}: `{REFERENCE}` has {own:.2f}; above it are {len(above)} of "
            f"{len([v for v in means.values() if v is not None])}: {text}."
        )
    return lines
