"""Prediction sets of queries, from scores of left-out rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.exceptions import KNNGraphWarning, warn_once
from knngraph.inference.adaptive import candidate_votes
from knngraph.inference.calibration import sharpen
from knngraph.inference.class_means import squared_to_means
from knngraph.inference.left_out_ranks import OF_SETS, check_alpha
from knngraph.inference.query_model import Found, PredictOptions, QueryModel
from knngraph.inference.set_scores import SetRule, Voters, class_scores, score_keys

# Rows that condensing drops or keeps are chosen by the answers to them.
_NO_SETS = (
    "A condensed model has no prediction sets: no rows are left that could calibrate "
    "them, as all took part in the choice of those it keeps. Take the sets of the "
    "classifier or predictor that it came from."
)
# Classes that a warning names.
_MOST_NAMED = 5


@dataclass(frozen=True)
class SetLevel:
    """How often sets may miss the true class, and the left-out rows that say so.

    Parameters
    ----------
    rule : SetRule
    alpha : float
    """

    rule: SetRule
    alpha: float


def set_level(
    model: QueryModel, classes: np.ndarray, alpha: Any, per_class: Any
) -> SetLevel:
    """Check what a user wants of sets, and warn where there are too few rows for it.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, for warnings.
    alpha : float
        Share of sets that may miss the true class.
    per_class : bool
        Whether that holds in every class by itself.
    """
    check_alpha(alpha, OF_SETS)
    if not isinstance(per_class, bool | np.bool_):
        raise ValueError(f"per_class must be True or False, got {per_class!r}.")
    if model.sets is None:
        raise ValueError(_NO_SETS)
    rule = SetRule(model.sets, model.training, per_class=bool(per_class))
    _warn_of_few_rows(rule, classes, alpha, bool(per_class))
    return SetLevel(rule, alpha)


def sets_at(
    level: SetLevel,
    model: QueryModel,
    options: PredictOptions,
    queries: np.ndarray,
    found: Found,
    shares: np.ndarray,
    probabilities: np.ndarray,
) -> np.ndarray:
    """The sets of classes of some mapped queries.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_mapped)
    shares : ndarray of the shape of `found.ids`
        Of the candidates in the votes.
    probabilities : ndarray of shape (n_queries, n_classes)

    Returns
    -------
    ndarray of shape (n_queries, n_classes), bool

    Notes
    -----
    With left-out rows i = 1..n, their scores s_i, and the score s of class y at x
    where row i does not vote, y is in the set where::

        #{i : s_i > s(x, y; without i)} < (1 - alpha) (n + 1),

    which are the leave-one-out sets (CV+ with folds of one row) of Romano, Sesia and
    Candes (2020). Only rows that vote at x change its scores: for all others one
    search among sorted scores counts them. Problems are solved again without a voter
    only where the voters decide whether a class is in. The likeliest class always is.
    Stored labels are not learned again without a row: where they answer, all rows are
    counted by the scores at x. Nor are the means of the classes, which order those
    without a vote: at x they are the means of all rows, at a left-out row those of
    the others.

    With sets for every class by itself the rows are those of class y, and n is their
    number (V. Vovk, "Conditional validity of inductive conformal predictors", 2013).
    """
    rule = level.rule
    to_means = squared_to_means(queries, rule.means)
    keys = score_keys(class_scores(probabilities, to_means), queries)
    counts, limits = rule.count(keys), rule.limits(level.alpha)
    first = np.arange(len(queries)), probabilities.argmax(axis=1)
    voters = rule.voters(found.ids, shares)
    larger = voters.key[:, None] > keys[voters.query]
    others = counts - voters.sums(larger * voters.weight, len(queries))
    most = others + voters.sums(voters.weight, len(queries))
    undecided = (others < limits) & (most >= limits)
    undecided[first] = False
    again = undecided.any(axis=1)
    if again.any():
        voters = voters.at(again)
        keys = _keys_without(model, options, queries, found, voters, to_means)
        larger = voters.key[:, None] > keys
        solved = others + voters.sums(larger * voters.weight, len(queries))
        counts[again] = solved[again]
    sets: np.ndarray = counts < limits
    sets[first] = True
    return sets


def _keys_without(
    model: QueryModel,
    options: PredictOptions,
    queries: np.ndarray,
    found: Found,
    voters: Voters,
    to_means: np.ndarray,
) -> np.ndarray:
    """Keys of the classes at the query of every voter, with a row of it left out."""
    training = model.training
    ids, squared = found.ids[voters.query], found.squared[voters.query]
    gone = np.flatnonzero(training.left_weights(voters.pair) == 0.0)
    ids[gone, voters.place[gone]] = -1
    there = np.argsort(ids < 0, axis=1, kind="stable")
    votes = candidate_votes(
        training,
        np.take_along_axis(ids, there, axis=1),
        np.take_along_axis(squared, there, axis=1),
        model.problem,
        reliability=model.reliability,
        left_out=voters.pair,
        n_threads=options.n_threads,
    )
    assert model.calibration is not None
    probabilities = sharpen(votes, model.calibration.adaptive)
    scores = class_scores(probabilities, to_means[voters.query])
    return score_keys(scores, queries[voters.query])


def _warn_of_few_rows(
    rule: SetRule, classes: np.ndarray, alpha: float, per_class: bool
) -> None:
    """Say where no number of rows with larger scores excludes a class."""
    n_rows = rule.n_rows
    few = np.flatnonzero((n_rows + 1.0) * alpha < 1.0)
    if not len(few) or len(classes) == 1:
        return
    needed = int(np.ceil(1.0 / alpha)) - 1
    if not per_class:
        warn_once(
            f"alpha={alpha} needs {needed} left-out rows and there are "
            f"{n_rows[0]:g}: every set holds all classes. Raise alpha or fit on more "
            "rows.",
            KNNGraphWarning,
        )
        return
    labels = classes.tolist()
    named = [f"{labels[i]!r} ({n_rows[i]:g} rows)" for i in few[:_MOST_NAMED]]
    if len(few) > _MOST_NAMED:
        named.append(f"{len(few) - _MOST_NAMED} more")
    warn_once(
        f"alpha={alpha} with per_class=True needs {needed} left-out rows of a class. "
        f"Of these classes there are fewer, and every set holds them: "
        f"{', '.join(named)}. Raise alpha, or fit on more rows of them.",
        KNNGraphWarning,
    )
