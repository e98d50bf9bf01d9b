"""The card of an answer as a picture."""

from typing import Any

import numpy as np

from knngraph.html_page import printable
from knngraph.inspection._optional import COLORS, Display
from knngraph.inspection.cards import VOTERS_SHOWN, Card, CardMixin, checked_shape
from knngraph.inspection.tables import explain_table

_COLUMNS_DRAWN = 8
_LETTERS = 22
# Images in a line of the picture.
_IMAGES = 5


class ExplanationDisplay(Display):
    """An answer and why: probabilities, the rows that voted, what makes them near.

    Parameters
    ----------
    explanation : Explanation or TableExplanation
    image_shape : tuple of int or None, default=None
        Height and width, and 3 for colors: the rows are drawn as images, in the place
        of the columns that make them near.

    Attributes
    ----------
    ax_ : ndarray of three matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    Explanation.to_html : The same as a page.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import ExplanationDisplay
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = KNNGraphClassifier(inference="adaptive", random_state=0)
    >>> model = model.fit(X[:500], y[:500])
    >>> display = ExplanationDisplay.from_estimator(
    ...     model, X[500:501], image_shape=(8, 8)
    ... )
    >>> display.plot().ax_[0].get_title()
    'Row 0: 8'
    """

    _n_axes = 3
    _figsize = (13.0, 4.2)

    def __init__(
        self, *, explanation: CardMixin, image_shape: tuple[int, ...] | None = None
    ) -> None:
        self.explanation = explanation
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        training: Any = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> "ExplanationDisplay":
        """Explain one row.

        Parameters
        ----------
        estimator : Pipeline, search over pipelines, or classifier
            As for `explain_table`.
        X : DataFrame, array or list of one row
        training : DataFrame, array or list, default=None
            What the estimator was fitted on, as for `explain_table`.
        image_shape : tuple of int or None, default=None

        Returns
        -------
        ExplanationDisplay
        """
        explanations = explain_table(estimator, X, training=training)
        if len(explanations) != 1:
            raise ValueError(
                f"X must be one row, got {len(explanations)}; explain them by "
                "explain_table, and make a display of each."
            )
        return cls(explanation=explanations[0], image_shape=image_shape)

    def _draw(self, *axes: Any) -> None:
        card, shape = self.explanation.to_card(), checked_shape(self.image_shape)
        likely, voted, near = axes
        classes = list(card.probabilities)
        colors = {c: COLORS[i % len(COLORS)] for i, c in enumerate(classes)}
        names, sizes = zip(*card.likeliest)
        paints = [colors[c] for c in classes[: len(names)]]
        if len(names) < len(classes):
            paints[-1] = "0.6"
        _bars(likely, names, sizes, paints)
        likely.set(xlim=(0, 1), xlabel=_under_the_bars(card))
        likely.set_title(_label(card.title), parse_math=False)
        rows = card.shown[:VOTERS_SHOWN]
        names = tuple(f"{row.name}: {row.neighbor.label}" for row in rows)
        weights = [row.neighbor.weight for row in rows]
        _bars(voted, names, weights, [colors[row.neighbor.label] for row in rows])
        for place, row in enumerate(rows):
            away = f" {row.neighbor.distance:.3g}"
            voted.text(row.neighbor.weight, place, away, va="center", fontsize=8)
        voted.margins(x=0.25)
        voted.set_xlabel("share of the vote; distance")
        voted.set_title("Rows behind the answer")
        if shape is None:
            _draw_columns(near, card)
        else:
            _draw_images(near, card, shape)


def _draw_columns(ax: Any, card: Card) -> None:
    weights = [max(row.neighbor.weight, 1e-9) for row in card.shown]
    shares = np.average([row.shares for row in card.shown], axis=0, weights=weights)
    order = np.argsort(-shares, kind="stable")[:_COLUMNS_DRAWN]
    names = tuple(card.columns[j] for j in order)
    _bars(ax, names, shares[order], ["0.4"] * len(order))
    ax.set_xlabel("share, mean over them")
    ax.set_title("What makes them near")


def _draw_images(ax: Any, card: Card, shape: tuple[int, ...]) -> None:
    """The row and its voters, then the nearest rows of the other class."""
    lines: list[list[tuple[Any, str]]] = [[(card.values, "this row")], []]
    for line, rows in zip(lines, (card.shown, card.others)):
        line += [(r.values, f"{r.name}: {r.neighbor.label}") for r in rows]
    ax.set_axis_off()
    if card.others:
        other = card.others[0].neighbor.label
        ax.set_title(_label(f"Below: class {other}"), parse_math=False)
    for down, line in enumerate(lines):
        for right, (values, name) in enumerate(line[:_IMAGES]):
            pixels = card.image(values, shape)
            if pixels is None:
                continue
            place = (right / _IMAGES, 0.52 - 0.52 * down, 0.9 / _IMAGES, 0.36)
            inset = ax.inset_axes(place)
            low, high = np.nanmin(pixels), np.nanmax(pixels)
            inset.imshow((pixels - low) / (high - low or 1.0), cmap="gray")
            inset.set_axis_off()
            inset.set_title(printable(name, 12), fontsize=7, parse_math=False)


def _bars(ax: Any, names: tuple[str, ...], sizes: Any, colors: list[str]) -> None:
    places = np.arange(len(names))
    ax.barh(places, sizes, color=colors)
    labels = [_label(name) for name in names]
    ax.set_yticks(places, labels, parse_math=False, fontsize=9)
    ax.invert_yaxis()


def _under_the_bars(card: Card) -> str:
    """What is known of the set and of the novelty, for the axis of probabilities."""
    lines = ["probability"]
    if card.label_set is not None:
        names = ", ".join(str(label) for label in card.label_set[:4])
        more = ", ..." if len(card.label_set) > 4 else ""
        lines.append(f"set at 90%: {_label(names)}{more}".replace("$", r"\$"))
    if card.novelty_pvalue is not None:
        novel = "novel" if card.is_novel else "not novel"
        lines.append(f"{novel} (p = {card.novelty_pvalue:.2g})")
    return "\n".join(lines)


def _label(name: Any) -> str:
    return printable(str(name), _LETTERS)
