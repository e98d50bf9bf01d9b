"""Active sets for the sparse mixes of the kTree, compiled."""

import numpy as np
from numba.extending import register_jitable

from knngraph.compiling import njit


@register_jitable
def eliminate(system, target):  # type: ignore[no-untyped-def]
    """Solve a linear system by elimination, in place, the larger pivots first.

    A pivot that is zero lets its unknown be zero.
    """
    n = target.shape[0]
    for a in range(n):
        pivot = a
        for b in range(a + 1, n):
            if abs(system[b, a]) > abs(system[pivot, a]):
                pivot = b
        if pivot != a:
            target[a], target[pivot] = target[pivot], target[a]
            for c in range(a, n):
                system[a, c], system[pivot, c] = system[pivot, c], system[a, c]
        for b in range(a + 1, n):
            if system[b, a] != 0.0:
                share = system[b, a] / system[a, a]
                target[b] -= share * target[a]
                for c in range(a + 1, n):
                    system[b, c] -= share * system[a, c]
    for a in range(n - 1, -1, -1):
        for c in range(a + 1, n):
            target[a] -= system[a, c] * target[c]
        target[a] = target[a] / system[a, a] if system[a, a] != 0.0 else 0.0


@njit(cache=True, nogil=True)
def solve_mixes(  # type: ignore[no-untyped-def]
    inner, curved, start, stop, penalty, exclude_self, max_iter, tol
):
    """Minimize w' curved w - 2 w' inner_i + penalty sum(w), w >= 0, exactly.

    Each step lets the row in whose part would grow fastest, solves for the rows
    that are in, and lets out those whose part would turn negative (Lawson and
    Hanson's method with a linear penalty). Unlike a descent it ends, with zeros
    that are zeros: how many parts there are is the answer looked for.

    Parameters
    ----------
    inner : ndarray of shape (n, n)
        Inner products of the rows.
    curved : ndarray of shape (n, n)
        The quadratic form; equal to `inner` without a Laplacian.
    start, stop : int
        Columns to solve.
    penalty : float
        Weight of the l1 norm.
    exclude_self : bool
    max_iter : int
    tol : float
        A row is let in if its slope exceeds this share of the norms involved.

    Returns
    -------
    mixes : ndarray of shape (stop - start, n)
    n_steps : ndarray of shape (stop - start,)
        `max_iter + 1` where a column did not settle.
    """
    n = inner.shape[0]
    # Rows that depend on one another make the system singular; this much on
    # the diagonal turns the missing curvature into a long step, which then
    # ends where a part becomes zero.
    ridge = 1.0 + 1e-10
    mixes = np.empty((stop - start, n))
    n_steps = np.empty(stop - start, dtype=np.int64)
    slope = np.empty(n)
    barred = np.empty(n, dtype=np.bool_)
    members = np.empty(n, dtype=np.int64)
    for c in range(stop - start):
        i = start + c
        mix = mixes[c]
        norm = np.sqrt(inner[i, i])
        n_members = 0
        n_steps[c] = max_iter + 1
        for j in range(n):
            mix[j] = 0.0
            barred[j] = False
        barred[i] = exclude_self
        for step in range(1, max_iter + 1):
            for j in range(n):
                slope[j] = inner[i, j] - 0.5 * penalty
            for a in range(n_members):
                j = members[a]
                for other in range(n):
                    slope[other] -= mix[j] * curved[j, other]
            entering = -1
            steepest = tol * norm
            for j in range(n):
                if barred[j] or mix[j] > 0.0 or curved[j, j] <= 0.0:
                    continue
                steepness = slope[j] / np.sqrt(curved[j, j])
                if steepness > steepest:
                    steepest = steepness
                    entering = j
            if entering < 0:
                n_steps[c] = step
                break
            members[n_members] = entering
            n_members += 1
            while n_members > 0:
                system = np.empty((n_members, n_members))
                wanted = np.empty(n_members)
                for a in range(n_members):
                    wanted[a] = inner[i, members[a]] - 0.5 * penalty
                    for b in range(n_members):
                        system[a, b] = curved[members[a], members[b]]
                    system[a, a] *= ridge
                eliminate(system, wanted)
                share = 1.0
                leaving = -1
                for a in range(n_members):
                    j = members[a]
                    # Below the rounding of the solve a part is no part.
                    least = 1e-4 * tol * norm / np.sqrt(curved[j, j])
                    if wanted[a] <= least:
                        room = mix[j] / (mix[j] - min(wanted[a], 0.0) + 1e-300)
                        if leaving < 0 or room < share:
                            share = room
                            leaving = a
                for a in range(n_members):
                    j = members[a]
                    mix[j] = max(0.0, mix[j] + share * (wanted[a] - mix[j]))
                if leaving < 0:
                    break
                if members[leaving] == entering:
                    # Rounding let it in; it would come back for ever.
                    barred[entering] = True
                mix[members[leaving]] = 0.0
                n_members -= 1
                for a in range(leaving, n_members):
                    members[a] = members[a + 1]
    return mixes, n_steps
