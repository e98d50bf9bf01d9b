"""Short tables of the README, the start and the guide, copied from measured pages.

    python -m benchmarks.excerpts

Nothing is measured: figures are read from docs/measured.md and docs/paper.md, so
that a page which repeats one cannot say another. A test holds the pages to it.
"""

import argparse
from pathlib import Path

from benchmarks.pages import DOCS, between, put_between, table, tables_of

README = DOCS.parent / "README.md"
MEASURED = DOCS / "measured.md"
PAPER = DOCS / "paper.md"
START = DOCS / "start.md"
PUBLISHED = DOCS / "guide" / "published.md"

# What a user wants, what to write for it, and its line in the short table.
DECISIONS = (
    (
        "the best accuracy, settings chosen for you",
        "`KNNGraphClassifierCV()`",
        "KNNGraphClassifierCV",
    ),
    (
        "the same on tables, without a search for settings",
        '`inference="adaptive", metric="auto"`',
        "adaptive, metric=auto",
    ),
    ("accuracy with nothing to tune", '`inference="adaptive"`', "adaptive"),
    ("most of it, faster", '`inference="cascade"`', "cascade"),
    (
        "what 1-NN gives, in microseconds",
        '`inference="lookup", ef="auto"`',
        "lookup (ef=auto)",
    ),
    (
        "the published method, to the letter",
        'the defaults: `inference="lookup"`, greedy walk',
        "lookup (ef=1)",
    ),
    ("to compare: one nearest neighbor, exactly", "", "1-NN"),
    ("to compare: k by cross-validation", "", "CV-kNN"),
)


def short_table() -> str:
    """The table of docs/measured.md that is repeated elsewhere."""
    return between(MEASURED, "in short")


def decision_table() -> str:
    """What to take for what, with its line of the short table."""
    figures = {line[0]: line[1:] for line in _rows_of(short_table())}
    rows = [
        (wanted, taken, *figures[method])
        for wanted, taken, method in DECISIONS
        if method in figures
    ]
    return table(
        (
            "you want",
            "take",
            "accuracy, %",
            "with 20 % wrong labels, %",
            "microseconds a query",
        ),
        rows,
    )


def reproduction_table() -> str:
    """Published accuracies beside those of the method and of 1-NN, where measured."""
    columns = _published_and_measured()
    names = ("1-NN", "lookup, ef=1", "lookup, ef=auto", "cascade", "adaptive")
    return table(
        ("set", "published", *(f"{name}, here" for name in names)),
        [
            (name, _published(cells), *(_mean(cells[method]) for method in names))
            for name, cells in columns.items()
        ],
    )


def reproduction_sentence() -> str:
    """One set of the publication, in words."""
    cells = _published_and_measured()["binalpha"]
    return (
        f"On Binalpha {_published(cells)} % are published for the graph; 1-NN has "
        f"{_mean(cells['1-NN'])} % here, over ten folds."
    )


def greedy_table() -> str:
    """What a lookup loses against 1-NN: worst, middle and best sets, and the mean."""
    heads, *lines = next(
        lines for lines in tables_of(MEASURED, "noise 0.0") if lines[0][0] == "set"
    )
    methods = ("1-NN", "lookup (ef=1)", "lookup (ef=auto)")
    sets = [
        (line[0], [float(_mean(line[heads.index(method)])) for method in methods])
        for line in lines
    ]
    sets.sort(key=lambda entry: entry[1][1] - entry[1][0])
    short = {line[0]: float(line[1]) for line in _rows_of(short_table())}
    shown = [*sets[:3], sets[len(sets) // 2], sets[-1]]
    shown.append((f"mean of {len(sets)} sets", [short[method] for method in methods]))
    return table(
        ("set", "1-NN, exact", "lookup, `ef=1`", 'lookup, `ef="auto"`'),
        [
            (name, f"{exact:.1f}", f"{greedy - exact:+.1f}", f"{wide - exact:+.1f}")
            for name, (exact, greedy, wide) in shown
        ],
    )


def excerpts() -> list[tuple[Path, str, str]]:
    """Page, mark and text of every excerpt."""
    return [
        (README, "measured", short_table()),
        (README, "published", reproduction_sentence()),
        (START, "decision", decision_table()),
        (PUBLISHED, "reproduced", reproduction_table()),
        (PUBLISHED, "greedy", greedy_table()),
    ]


def write() -> None:
    """Put every excerpt into its page."""
    for page, name, text in excerpts():
        put_between(page, name, text)


def _published_and_measured() -> dict[str, dict[str, str]]:
    """Cells of Table 1 by set and method, of the sets that were measured."""
    heads, *lines = tables_of(PAPER, "Table 1: accuracy")[0]
    columns = {
        name: {line[0]: line[column] for line in lines}
        for column, name in enumerate(heads[1:], start=1)
    }
    return {name: cells for name, cells in columns.items() if cells["1-NN"] != "-"}


def _published(cells: dict[str, str]) -> str:
    return cells["lookup, ef=1"].partition("(published ")[2].rstrip(")")


def _mean(cell: str) -> str:
    return cell.partition(" ±")[0]


def _rows_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()[2:]
    ]


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    write()
