"""Active sets for the sparse mixes of the kTree, compiled."""

import numpy as np

from knngraph.compiling import compiled, compiled_part


@compiled_part
def eliminate(n, system, target):  # type: ignore[no-untyped-def]
    """Solve a linear system by elimination, in place, the larger pivots first.

    A pivot that is zero lets its unknown be zero.
    """
    for a in range(n):
        pivot = a
        for b in range(a + 1, n):
            if abs(system[b, a]) > abs(system[pivot, a]):
                pivot = b
        if pivot != a:
            target[a], target[pivot] = target[pivot], target[a]
            for c in range(a, n):
                system[a, c], system[pivot, c] = system[pivot, c], system[a, c]
        diagonal, wanted = system[a, a], target[a]
        for b in range(a + 1, n):
            below = system[b, a]
            if below != 0.0:
                share = below / diagonal
                target[b] -= share * wanted
                for c in range(a + 1, n):
                    system[b, c] -= share * system[a, c]
    for a in range(n - 1, -1, -1):
        rest, diagonal = target[a], system[a, a]
        for c in range(a + 1, n):
            rest -= system[a, c] * target[c]
        target[a] = rest / diagonal if diagonal != 0.0 else 0.0


@compiled(allocates=True)
def solve_mixes(  # type: ignore[no-untyped-def]
    inner, curved, start, penalty, exclude_self, max_iter, tol, mixes, n_steps
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
    start : int
        The first column to solve.
    penalty : float
        Weight of the l1 norm.
    exclude_self : bool
    max_iter : int
    tol : float
        A row is let in if its slope exceeds this share of the norms involved.
    mixes : ndarray of shape (n_columns, n)
        Result; zeros before.
    n_steps : ndarray of shape (n_columns,)
        Result: `max_iter + 1` where a column did not settle.
    """
    n = inner.shape[0]
    # Rows that depend on one another make the system singular; this much on
    # the diagonal turns the missing curvature into a long step, which then
    # ends where a part becomes zero.
    ridge = 1.0 + 1e-10
    slope, wanted = np.empty(n), np.empty(n)
    barred, members = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for column in range(mixes.shape[0]):
        i = start + column
        norm = np.sqrt(inner[i, i])
        n_members = 0
        n_steps[column] = max_iter + 1
        for j in range(n):
            barred[j] = exclude_self and j == i
        for step in range(1, max_iter + 1):
            for j in range(n):
                slope[j] = inner[i, j] - 0.5 * penalty
            for a in range(n_members):
                j = members[a]
                part = mixes[column, j]
                for other in range(n):
                    slope[other] -= part * curved[j, other]
            entering = -1
            steepest = tol * norm
            for j in range(n):
                curvature = curved[j, j]
                if barred[j] or mixes[column, j] > 0.0 or curvature <= 0.0:
                    continue
                steepness = slope[j] / np.sqrt(curvature)
                if steepness > steepest:
                    steepest = steepness
                    entering = j
            if entering < 0:
                n_steps[column] = step
                break
            members[n_members] = entering
            n_members += 1
            while n_members > 0:
                system = np.empty((n_members, n_members))
                for a in range(n_members):
                    j = members[a]
                    wanted[a] = inner[i, j] - 0.5 * penalty
                    for b in range(n_members):
                        system[a, b] = curved[j, members[b]]
                    system[a, a] *= ridge
                eliminate(n_members, system, wanted)
                share = 1.0
                leaving = -1
                for a in range(n_members):
                    j, target = members[a], wanted[a]
                    # Below the rounding of the solve a part is no part.
                    if target <= 1e-4 * tol * norm / np.sqrt(curved[j, j]):
                        part = mixes[column, j]
                        room = part / (part - min(target, 0.0) + 1e-300)
                        if leaving < 0 or room < share:
                            share = room
                            leaving = a
                for a in range(n_members):
                    j = members[a]
                    part = mixes[column, j]
                    mixes[column, j] = max(0.0, part + share * (wanted[a] - part))
                if leaving < 0:
                    break
                gone = members[leaving]
                if gone == entering:
                    # Rounding let it in; it would come back for ever.
                    barred[entering] = True
                mixes[column, gone] = 0.0
                n_members -= 1
                for a in range(leaving, n_members):
                    members[a] = members[a + 1]
