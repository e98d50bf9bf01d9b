"""What a predictor says of itself: where it comes from, and how good it was."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from knngraph._version import __version__


@dataclass(frozen=True, eq=False)
class Description:
    """A model in a few texts and numbers, without a clock.

    Parameters
    ----------
    model : str
        Classes of the estimator and of the steps before it, in their order.
    metric : str
        That the fit chose.
    n_rows : int
        Number of training rows.
    class_counts : ndarray of shape (n_classes,), intp
        Number of training rows of every class.
    accuracy : float
        Of training rows, each left out, as the classifier's `score(None, y)`. Of a
        condensed model, of left-out rows that the condensation has not seen.
    knngraph : str
        Release that made the model.
    about, version, made : str, default=""
        Given by the user: what it is for, which one it is, and when it was made.
    """

    model: str
    metric: str
    n_rows: int
    class_counts: np.ndarray
    accuracy: float
    knngraph: str = __version__
    about: str = ""
    version: str = ""
    made: str = ""

    def with_texts(self, **texts: str) -> "Description":
        """The same with those of `about`, `version` and `made` that are not empty."""
        for name, text in texts.items():
            if not isinstance(text, str):
                raise TypeError(
                    f"{name} must be a text, got {text!r}: write it as it should be "
                    'read, as made="2026-03-01".'
                )
        given: dict[str, Any] = {name: text for name, text in texts.items() if text}
        return replace(self, **given)

    def as_dict(self) -> dict[str, Any]:
        """Texts, numbers and a list, for JSON."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return found | {"class_counts": self.class_counts.tolist()}

    def __str__(self) -> str:
        named = [text for text in (self.about, self.version, self.made) if text]
        return "\n".join(
            [
                ", ".join([*named, self.model]),
                f"{self.n_rows} training rows, {len(self.class_counts)} classes, "
                f"metric {self.metric}, knngraph {self.knngraph}",
                f"accuracy {self.accuracy:.3f} on left-out rows",
            ]
        )
