"""The choice of a map, on rows that it has not seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from knngraph.metric.gradient_map import N_MAPS, POWERS, gradient_maps

# Rows that a choice is made on; above, a sample of so many.
MAX_ROWS = 2000
_N_FOLDS = 3
# Nearest rows that vote on a held-out one.
_N_VOTING = 5
# Folds are held out in turn until so many rows have been answered.
_ENOUGH_ROWS = 600
# By so many standard errors, and so many rows besides, a map must lead: few rows ask
# for a clearer lead than many.
_LEAD = 0.5
_LEAD_ROWS = 2
# Standard errors by which the full map of a round may fall behind in the first fold
# before no other round is tried.
_GIVE_UP = 2.0
# Below so many rows those that are held out are too few to tell.
FEWEST_ROWS = 30


@dataclass(frozen=True)
class Choice:
    """A map that was chosen, and what it is without the rows of a fold.

    Parameters
    ----------
    number : int
        Place among the `gradient_maps`, counted from 1, or 0 for no map.
    factors : tuple of ndarray of shape (n_features, n_features)
        Of that map, fitted to the other rows, for the first of the `folds`: for as
        many as the choice has tried.
    scores : tuple of float
        Mean of both accuracies (see `choose_map`) on held-out rows: of the plain rows,
        and of the best map; empty where rows are too few.
    """

    number: int
    factors: tuple[np.ndarray, ...] = ()
    scores: tuple[float, ...] = ()


def choose_map(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, *, seed: int = 0
) -> Choice:
    """The map that finds labels better than the plain rows, if any.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
        In random order.
    codes : ndarray of shape (n_rows,)
    seed : int, default=0
        Of `gradient_maps`.

    Notes
    -----
    A held-out row is answered by the label of its nearest row and by the vote of the
    five nearest, as lookups and votes at the query would; a right answer counts one
    half. The maps are fitted to the other rows only: a map that has seen the label
    of a row looks better on that row than it is. Let g be what a row gains by a map,
    between -1 and 1. By chance alone the sum of all g would have a standard error
    of the root of the sum of all g^2. A map is chosen only if it leads by more than
    half of that and two rows besides, which counts where rows are few.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.metric.choose import choose_map
    >>> rows = np.random.default_rng(0).normal(size=(200, 9)).astype(np.float32)
    >>> choose_map(rows, (rows[:, 0] > 0).astype(int), 2).number > 0
    True
    >>> plane = rows[:, :2]  # no direction is better than another
    >>> choose_map(plane, (np.linalg.norm(plane, axis=1) > 1.2).astype(int), 2).number
    0
    """
    if n_classes < 2 or len(rows) < FEWEST_ROWS:
        return Choice(0)
    lead = np.zeros(1 + N_MAPS)
    differ = np.zeros(1 + N_MAPS)
    n_maps, n_answered, n_right = N_MAPS, 0, 0.0
    by_fold = []
    for fitted, held_out in folds(codes):
        right = right_by_map(rows, codes, n_classes, fitted, held_out, seed)
        _, plain = next(right)
        n_right += plain.sum()
        number, factors = 0, []
        for number, (factor, mapped) in enumerate(islice(right, n_maps), start=1):
            factors.append(factor)
            gained = mapped - plain
            lead[number] += gained.sum()
            differ[number] += (gained**2).sum()
            is_full = number % len(POWERS) == 0
            if is_full and not n_answered and _is_behind(lead, differ)[number]:
                break  # another round goes further the same way
        if not n_answered:
            while number and _is_behind(lead, differ)[number]:
                number -= 1
        n_maps = number
        n_answered += len(held_out)
        if not n_maps:
            break
        by_fold.append(factors)
        if n_answered >= _ENOUGH_ROWS:
            break
    # Without a map that was tried, `lead` is zero everywhere.
    leading = lead[1 : max(n_maps, 1) + 1].max()
    scores = tuple(float(n) / n_answered for n in (n_right, n_right + leading))
    best = int(np.argmax(lead[: n_maps + 1]))  # the first of equals: the gentlest
    needed = _LEAD_ROWS + _LEAD * np.sqrt(differ[best])
    if lead[best] <= needed:
        return Choice(0, scores=scores)
    return Choice(best, tuple(factors[best - 1] for factors in by_fold), scores)


def _is_behind(lead: np.ndarray, differ: np.ndarray) -> np.ndarray:
    """Whether a map is behind by more than chance, map by map."""
    return lead < -_GIVE_UP * np.sqrt(differ)


def folds(codes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places to fit to and places to hold out, every class in its proportion.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)

    Yields
    ------
    fitted, held_out : ndarray, sorted
        Three times; every place is held out once.
    """
    by_class = np.argsort(codes, kind="stable")
    number = np.empty(len(codes), dtype=np.intp)
    number[by_class] = np.arange(len(codes)) % _N_FOLDS
    for fold in range(_N_FOLDS):
        yield np.flatnonzero(number != fold), np.flatnonzero(number == fold)


def right_by_map(
    rows: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    fitted: np.ndarray,
    held_out: np.ndarray,
    seed: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How well held-out rows are answered, map by map.

    Parameters
    ----------
    rows, codes, n_classes, seed
        As in `choose_map`.
    fitted, held_out : ndarray
        Places of the rows that the maps are fitted to and evaluated on.

    Yields
    ------
    factor : ndarray of shape (n_features, n_features)
        Of the map; first the identity, which is no map.
    right : ndarray of shape (n_held_out,)
        1 where the nearest row and the vote of the five nearest are right, 1/2 where
        one of them is. No map follows where there is nothing to learn.
    """
    # Near the origin, where single precision tells near rows apart.
    center = np.median(rows[fitted], axis=0).astype(rows.dtype)
    near, near_codes = rows[fitted] - center, codes[fitted]
    far, given = rows[held_out] - center, codes[held_out]
    nothing = np.eye(rows.shape[1], dtype=rows.dtype)
    yield nothing, _right(near, near_codes, far, given, n_classes)
    for factor in gradient_maps(near, near_codes, n_classes, seed):
        mapped = near @ factor, near_codes, far @ factor
        yield factor, _right(*mapped, given, n_classes)


def _right(
    rows: np.ndarray,
    codes: np.ndarray,
    queries: np.ndarray,
    given: np.ndarray,
    n_classes: int,
) -> np.ndarray:
    """Mean of the two answers of every query that are right; see `right_by_map`."""
    # One product in the precision of the rows; larger is nearer.
    closeness = queries @ rows.T
    closeness -= 0.5 * np.einsum("ij,ij->i", rows, rows)
    nearest = closeness.argmax(axis=1)
    n_voting = min(_N_VOTING, len(rows))
    voting = np.argpartition(closeness, -n_voting, axis=1)[:, -n_voting:]
    votes = np.eye(n_classes)[codes[voting]].sum(axis=1)
    votes[np.arange(len(queries)), codes[nearest]] += 0.5  # decides between equals
    return 0.5 * (codes[nearest] == given) + 0.5 * (votes.argmax(axis=1) == given)
