"""The card of an answer: an HTML page that needs nothing else."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.html_page import (
    LONGEST_TEXT,
    Cell,
    bars,
    bullets,
    folded,
    framed,
    heading,
    html_page,
    listed,
    paragraph,
    picture,
    printable,
    table,
)
from knngraph.inspection.rows import TableRow, cell_text

VOTERS_SHOWN = 8
_CLASSES_SHOWN = 8
_COLUMNS_SHOWN = 10
_COLUMNS_FOLDED = 30
_LEAST_SHARE = 0.005
# Letters of a text beside others, and of a name in a title.
_LETTERS_OF_A_TEXT = 600
_LETTERS_OF_A_NAME = 80
# Classes of a prediction set that are named.
_CLASSES_NAMED = 12
# What marks the columns: of cells, of pixels.
_NEAR = (
    "Shaded are the cells that make a row near; the figure is their share of it.",
    "Light are the pixels that make a row near.",
)
# The p-value from which on a row is like the training rows.
_NOVEL = 0.05


@dataclass(frozen=True, eq=False)
class Card:
    """What a card shows of an answer.

    Parameters
    ----------
    name : object
        Of the row that was answered.
    predicted : object
    probabilities : dict
        Of every class, largest first.
    label_set : tuple or None
        Classes of the prediction set at 90%.
    novelty_pvalue : float or None
    stored : object
        The stored label that answered; None where neighbors of the row voted.
    n_candidates : int
    columns : tuple of str
    values : tuple
        Cells of the row; columns beyond them have none.
    reached : TableRow
        The training row that the search found.
    voters, others : tuple of TableRow
        Largest weight first; nearest rows of the class that came second.
    """

    name: Any
    predicted: Any
    probabilities: dict[Any, float]
    label_set: tuple[Any, ...] | None
    novelty_pvalue: float | None
    stored: Any
    n_candidates: int
    columns: tuple[str, ...]
    values: tuple[Any, ...]
    reached: TableRow
    voters: tuple[TableRow, ...]
    others: tuple[TableRow, ...]

    @property
    def title(self) -> str:
        """The row and its class."""
        return f"Row {_named(self.name)}: {_named(self.predicted)}"

    @property
    def shown(self) -> tuple[TableRow, ...]:
        """The voters; behind a stored label after the row reached, near to it."""
        if self.stored is None:
            return self.voters
        row = self.reached.neighbor.row
        own = [v for v in self.voters if v.neighbor.row == row]
        near = replace(
            self.reached.neighbor, weight=own[0].neighbor.weight if own else 0.0
        )
        rest = (v for v in self.voters if v not in own)
        return (replace(self.reached, neighbor=near), *rest)

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, the rest in one."""
        likely = [(str(c), p) for c, p in self.probabilities.items()]
        rest = likely[_CLASSES_SHOWN:]
        if not rest:
            return likely
        total = sum(p for _, p in rest)
        return [*likely[:_CLASSES_SHOWN], (f"{len(rest)} more", total)]

    @property
    def is_novel(self) -> bool:
        """Whether the row is unlike all training rows, at 5%; no where unknown."""
        return self.novelty_pvalue is not None and self.novelty_pvalue <= _NOVEL

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The prediction set and the novelty, as far as they are known, in words."""
        facts = []
        if self.label_set is not None:
            names = [_named(label) for label in self.label_set[:_CLASSES_NAMED]]
            if len(self.label_set) > _CLASSES_NAMED:
                names.append(f"{len(self.label_set) - _CLASSES_NAMED} more")
            said = f"{', '.join(names)}: such sets hold the class of 90% of new rows."
            facts.append(("Set at 90%", said))
        if self.novelty_pvalue is not None:
            novel = "yes" if self.is_novel else "no"
            share = f"{100.0 * self.novelty_pvalue:.3g}%"
            said = f"{novel}: {share} of the training rows are as far from all others."
            facts.append(("Novel", said))
        return facts

    def image(self, values: Sequence[Any] | None, shape: tuple[int, ...]) -> Any:
        """Cells as an array of this shape; None without cells."""
        if values is None:
            return None
        n_pixels = int(np.prod(shape))
        pixels = np.array(values, dtype=object)
        if len(pixels) != n_pixels:
            raise ValueError(
                f"image_shape={shape!r} has {n_pixels} numbers, but a row has "
                f"{len(pixels)} columns; give the height and the width of the images, "
                "and 3 where they have colors."
            )
        try:
            return pixels.astype(np.float64).reshape(shape)
        except (TypeError, ValueError):
            number = next(j for j, cell in enumerate(values) if not _is_number(cell))
            raise ValueError(
                f"image_shape={shape!r} takes rows for images, and this one has "
                f"{printable(repr(values[number]), LONGEST_TEXT)} in column "
                f"{self.columns[number]!r}, which is no number. Leave image_shape out."
            ) from None


class CardMixin:
    """The card of an explanation, by `to_card`."""

    def to_card(self) -> Card:
        """What a card shows."""
        raise NotImplementedError

    def to_html(
        self,
        *,
        title: str | None = None,
        given: Any = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> str:
        """A page that shows the answer and why, for a file or a browser.

        Parameters
        ----------
        title : str or None, default=None
            None is the row and its class.
        given : object, default=None
            The label of the row, where it is known.
        image_shape : tuple of int or None, default=None
            Height and width, and 3 for colors: rows are images, shown as such.

        Returns
        -------
        str
            HTML that loads nothing and runs nothing, for narrow and wide screens, light
            and dark. Names, labels and cells are shown as they are, whatever they hold.

        Examples
        --------
        >>> from knngraph import KNNGraphClassifier
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
        >>> page = model.explain(X.iloc[[100]])[0].to_html()
        >>> "<h1>Row 100: 2</h1>" in page, "script" in page
        (True, False)
        """
        card = self.to_card()
        known = "" if given is None else f" (its label: {_named(given)})"
        title = None if title is None else str(title)
        blocks = [heading(f"{card.title}{known}" if title is None else title, 1)]
        return html_page(
            title or card.title,
            blocks + card_blocks(card, image_shape=checked_shape(image_shape)),
        )

    def _repr_html_(self) -> str:
        """The card in a frame: what notebooks show."""
        return framed(self.to_html(), self.to_card().title)


def _named(name: Any) -> str:
    """A name of any kind and length, in a line."""
    return printable(str(name), _LETTERS_OF_A_NAME)


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def checked_shape(shape: Any) -> tuple[int, ...] | None:
    """The shape of an image, or an error that says how one reads."""
    if shape is None:
        return None
    sizes = shape if isinstance(shape, tuple | list) else ()
    whole = all(isinstance(n, int | np.integer) and n > 0 for n in sizes)
    colors = len(sizes) == 3 and sizes[-1] == 3
    if not whole or not (len(sizes) == 2 or colors):
        raise ValueError(
            f"image_shape must be a height and a width, and 3 for colors, as (8, 8) or "
            f"(32, 32, 3), got {shape!r}."
        )
    return tuple(int(n) for n in sizes)


def answer_page(
    title: str,
    explanations: Sequence[CardMixin],
    *,
    given: Sequence[Any] | None = None,
    lead: str = "",
    remarks: Iterable[str] = (),
) -> str:
    """A page with the cards of some answers.

    Parameters
    ----------
    title : str
    explanations : sequence of Explanation or TableExplanation
    given : sequence or None, default=None
        Labels of the rows as far as they are known, else None.
    lead : str, default=""
        Below the title.
    remarks : iterable of str
        Below the cards.

    Returns
    -------
    str
        HTML that loads nothing. Names and cells are shown as they are, whatever they
        hold.
    """
    labels = given if given is not None else [None] * len(explanations)
    cards = []
    for explanation, label in zip(explanations, labels):
        card = explanation.to_card()
        known = "" if label is None else f" (its label: {_named(label)})"
        cards.append([heading(f"{card.title}{known}"), *card_blocks(card, level=3)])
    return page_of_cards(title, lead, cards, remarks)


def page_of_cards(
    title: str, lead: str, cards: Iterable[list[str]], remarks: Iterable[str]
) -> str:
    """A page of cards that are made."""
    blocks = [heading(title, 1)]
    if lead:
        blocks.append(paragraph(lead, "lead"))
    blocks += [block for card in cards for block in card]
    remarks = list(remarks)
    if remarks:
        blocks += [heading("Remarks"), bullets(remarks)]
    return html_page(title, blocks)


def card_blocks(
    card: Card, *, level: int = 2, image_shape: tuple[int, ...] | None = None
) -> list[str]:
    """Blocks of one answer: probabilities, voters, rows of the other class.

    Parameters
    ----------
    card : Card
    level : int, default=2
        Of its headings.
    image_shape : tuple of int or None, default=None
    """
    blocks = [
        listed(card.facts) if card.facts else "",
        heading("Probability of each class", level),
        bars((name, p, f"{p:.1%}") for name, p in card.likeliest),
        heading("Rows behind the answer", level),
        paragraph(f"{_way_in_words(card)} {_NEAR[image_shape is not None]}"),
    ]
    shown, hidden = card.shown[:VOTERS_SHOWN], card.shown[VOTERS_SHOWN:]
    blocks.append(rows_beside(card, shown, "Rows behind the answer", image_shape))
    if hidden:
        weight = sum(voter.neighbor.weight for voter in hidden)
        more = "row has" if len(hidden) == 1 else "rows have"
        blocks.append(
            paragraph(f"{len(hidden)} more {more} {weight:.0%} of the vote.", "note")
        )
    if card.others:
        words = f"Nearest rows of class {_named(card.others[0].neighbor.label)}"
        blocks += [
            heading(words, level),
            paragraph(
                "What would have to change for this class, which came second: what "
                f"{'is light' if image_shape else 'is shaded'} makes the rows near "
                "already, the rest tells them apart."
            ),
            rows_beside(card, card.others, words, image_shape),
        ]
    return blocks


def _way_in_words(card: Card) -> str:
    if card.stored is not None:
        return (
            f"The nearest training row, {_named(card.reached.name)}, stores the class "
            f"{_named(card.stored)}, on which the rows beside it voted at fit: their "
            f"distances are from that row."
        )
    return (
        f"{len(card.voters)} of the {card.n_candidates} nearest training rows share "
        "the vote."
    )


def rows_beside(
    card: Card,
    rows: Sequence[TableRow],
    label: str,
    image_shape: tuple[int, ...] | None = None,
) -> str:
    """A table with a column for every row, and a line for every column.

    Lines are in the order of their share, and what has little is folded. Images stand
    above the lines, long texts before the table.
    """
    heads: list[str | Cell] = ["", Cell("this row")]
    labels: list[str | Cell] = ["class", ""]
    votes: list[str | Cell] = ["vote", ""]
    distances: list[str | Cell] = ["distance", ""]
    for row in rows:
        near = row.neighbor
        heads.append(Cell(f"row {row.name}"))
        doubt = ""
        if near.rival is not None and near.reliability <= 1.0 - _LEAST_SHARE:
            doubt = f"{1.0 - near.reliability:.0%} for {_named(near.rival)}"
        labels.append(Cell(str(near.label), doubt))
        votes.append(f"{near.weight:.0%}" if near.weight > 0.0 else "")
        distances.append(f"{near.distance:.3g}")
    voted = any(row.neighbor.weight > 0.0 for row in rows)
    facts = [labels, *([votes] if voted else []), distances]
    weights = [max(row.neighbor.weight, 1e-9) for row in rows]
    shares = np.average([row.shares for row in rows], axis=0, weights=weights)
    order = np.argsort(-shares, kind="stable")
    n_lines = int(np.clip((shares >= _LEAST_SHARE).sum(), 3, _COLUMNS_SHOWN))
    if image_shape is not None:
        facts += _images(card, rows, image_shape)
        n_lines, order = 0, order[order >= len(card.values)]
    lines = [_line(card, rows, j) for j in order[: n_lines + _COLUMNS_FOLDED]]
    first = table(heads, [*facts, *lines[:n_lines]], label=label)
    whole = _texts(card, rows) + first
    rest = lines[n_lines:]
    if not rest:
        return whole
    noun = "column" if len(rest) == 1 else "columns"
    words = f"{len(rest)} more {noun}"
    if len(lines) < len(order):
        words += f" of {len(order) - n_lines}"
    return whole + folded(words, [table(heads, rest, label=f"{label}: {words}")])


def _images(
    card: Card, rows: Sequence[TableRow], shape: tuple[int, ...]
) -> list[list[str | Cell]]:
    """The rows as images, and their shares where every pixel has one."""
    image = picture(card.image(card.values, shape), "this row as an image")
    lines: list[list[str | Cell]] = [["image", Cell("", image=image)]]
    near: list[str | Cell] = ["makes it near", ""]
    for row in rows:
        pixels, name = card.image(row.values, shape), f"row {row.name}"
        words = f"{name} as an image, class {row.neighbor.label}"
        image = "" if pixels is None else picture(pixels, words)
        lines[0].append(Cell("", image=image))
        if len(row.shares) == len(card.values):
            words = f"where {name} is near: the lighter, the larger the share"
            pixels = card.image(row.shares.tolist(), shape)
            near.append(Cell("", image=picture(pixels, words)))
    return [*lines, near] if len(near) == len(rows) + 2 else lines


def _texts(card: Card, rows: Sequence[TableRow]) -> str:
    """Columns with a text that no cell holds, below one another."""
    blocks = []
    for j, column in enumerate(card.columns[: len(card.values)]):
        named = [("this row", card.values)]
        for row in rows:
            vote = f", {row.neighbor.weight:.0%}" if row.neighbor.weight > 0.0 else ""
            if row.values is not None:
                name = f"row {row.name}: {row.neighbor.label}{vote}"
                named.append((_named(name), row.values))
        texts = [(name, cells[j]) for name, cells in named]
        if any(isinstance(t, str) and len(t) > LONGEST_TEXT for _, t in texts):
            blocks += [
                paragraph(f"{column}:", "note"),
                listed(
                    (name, printable(cell_text(text), _LETTERS_OF_A_TEXT))
                    for name, text in texts
                ),
            ]
    return "".join(blocks)


def _line(card: Card, rows: Sequence[TableRow], j: int) -> list[str | Cell]:
    line: list[str | Cell] = [Cell(card.columns[j]), Cell(_value(card.values, j))]
    for row in rows:
        share = float(row.shares[j])
        note = f"{share:.0%}" if share >= _LEAST_SHARE else ""
        value = _value(row.values, j)
        line.append(Cell(value, note, share) if value else Cell(note, shade=share))
    return line


def _value(values: tuple[Any, ...] | None, j: int) -> str:
    """A cell as text; columns that the encoding made have none."""
    return cell_text(values[j]) if values is not None and j < len(values) else ""
