"""Compiled solver of the self-representation problem, one row at a time.

For row j with candidates C the problem is

    minimise  K_jj - 2 k'w + w'(K + eta I)w + lambda |w|_1    over w in R^C

with w >= 0 unless `positive` is off. FISTA (Beck and Teboulle 2009) solves it,
with a backtracking line search that may also shorten its bound again, and with
the restart of O'Donoghue and Candes (2015) whenever the objective would rise,
so that it never does. The label term of the kernel and neighbors close together
make the problem ill-conditioned, and gradient steps alone need a hundred
iterations for the last digits. So each of them is followed by an exact step on
the support it found, and a row starts with a few candidates and takes in those
that violate the optimality conditions: about five iterations in all.

Every function here is compiled; none calls a compiled function of another file,
because the on-disk cache of numba only watches the file of the function itself.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from knngraph.compiling import compiled, compiled_part
from knngraph.weights import LEAST_REST

# Sums may be reordered (which is what lets the compiler use vector units), but
# NaN and inf keep their meaning.
_REORDER = {"reassoc", "contract", "nsz"}
# Size of the first working set and how many violators join it at least: rows
# keep 3 to 8 of their candidates on real data. Where a row keeps hundreds, the
# set grows by half.
_FIRST = 6
_GROWTH = 3
# A pivot below this share of the diagonal is zero but for rounding.
_SINGULAR = 1e-12
# Bytes that a core fetches at once, and how many of a row are asked for ahead: who
# reads so far into a row gets the rest without asking.
_LINE = 64
_AHEAD = 4 * _LINE


@intrinsic
def fetch(typing_context, array, offset):
    """Ask for so many bytes on in an array, and go on without waiting for them."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        start = builder.bitcast(data, ir.IntType(8).as_pointer())
        pointer = builder.gep(start, [arguments[1]])
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        call = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        # For reading, into all caches, data.
        builder.call(call, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@compiled_part
def fetch_candidates(points, pair_node, pair_code, pair_weight, candidates, r):
    """Ask for what will be read of the candidates of row `r`."""
    row_bytes = points.shape[1] * points.itemsize
    for a in range(candidates.shape[1]):
        pair = candidates[r, a]
        if pair < 0:
            return
        fetch(pair_code, pair * pair_code.itemsize)
        fetch(pair_weight, pair * pair_weight.itemsize)
        row = pair_node[pair] * row_bytes
        for ahead in range(0, _AHEAD, _LINE):
            if ahead < row_bytes:
                fetch(points, row + ahead)


@compiled_part(fastmath=_REORDER)
def squared_distance(points, a, b):
    """Squared Euclidean distance of two rows, in double precision."""
    total = 0.0
    for f in range(points.shape[1]):
        difference = np.float64(points[a, f]) - np.float64(points[b, f])
        total += difference * difference
    return total


@compiled_part
def multiply(n, gram, vector, product):
    """Product = gram @ vector, skipping the zeros that sparse vectors have."""
    for a in range(n):
        product[a] = 0.0
    for b in range(n):
        value = vector[b]
        if value != 0.0:
            for a in range(n):
                product[a] += value * gram[b, a]


@compiled_part
def objective(n, similarity, weights, product, penalty):
    """Objective without its constant: -2 k'w + w'Kw + lambda |w|_1."""
    value = 0.0
    for a in range(n):
        w = weights[a]
        if w != 0.0:
            value += w * (product[a] - 2.0 * similarity[a]) + penalty * abs(w)
    return value


@compiled_part
def violation(similarity, product, weight, penalty, positive):
    """How far one weight is from its optimality condition."""
    slope = 2.0 * (product - similarity)
    if weight > 0.0:
        return abs(slope + penalty)
    if weight < 0.0:
        return abs(slope - penalty)
    return (-slope if positive else abs(slope)) - penalty


@compiled_part
def optimality_gap(n, similarity, weights, product, penalty, positive):
    """Largest violation of the optimality conditions by any candidate."""
    gap = 0.0
    for a in range(n):
        of_this = violation(similarity[a], product[a], weights[a], penalty, positive)
        if of_this > gap:
            gap = of_this
    return gap


@compiled_part
def solve_on(
    support, size, gram, similarity, half_penalty, signs, step, factor, target
):
    """Solve the optimality equations of a support by Cholesky factorisation.

    Where they are singular, as for rows close together in a wide kernel, pivots that
    are zero but for rounding are raised. That is a proximal step from `step`
    (Levenberg 1944), which lowers the objective as well.
    """
    for i in range(size):
        a = support[i]
        value = similarity[a] - half_penalty * signs[a]
        for j in range(size):
            value -= gram[a, support[j]] * step[support[j]]
        target[i] = value
        for j in range(i + 1):
            value = gram[a, support[j]]
            for k in range(j):
                value -= factor[i, k] * factor[j, k]
            if i == j:
                factor[i, i] = np.sqrt(max(value, _SINGULAR * gram[a, a]))
            else:
                factor[i, j] = value / factor[j, j]
    for i in range(size):
        value = target[i]
        for k in range(i):
            value -= factor[i, k] * target[k]
        target[i] = value / factor[i, i]
    for i in range(size - 1, -1, -1):
        value = target[i]
        for k in range(i + 1, size):
            value -= factor[k, i] * target[k]
        target[i] = value / factor[i, i]
    for i in range(size):
        target[i] += step[support[i]]


@compiled_part
def step_on_support(
    n, gram, similarity, penalty, weights, step, support, signs, factor, target
):
    """Move to the minimiser on a face of the signs of `weights`.

    Where the solution of the support leaves the face, goes as far as the first
    weight that vanishes and solves again without it (Lawson and Hanson 1974).
    The objective is convex on the way, so it falls.
    """
    size = 0
    for a in range(n):
        weight = weights[a]
        step[a] = weight
        signs[a] = 1.0 if weight > 0.0 else -1.0
        if weight != 0.0:
            support[size] = a
            size += 1
    while size:
        solve_on(
            support, size, gram, similarity, 0.5 * penalty, signs, step, factor, target
        )
        fraction = 1.0
        vanishing = -1
        for i in range(size):
            a, wanted = support[i], target[i]
            if wanted * signs[a] <= 0.0:
                reach = step[a] / (step[a] - wanted)
                if vanishing < 0 or reach < fraction:
                    fraction = reach
                    vanishing = i
        for i in range(size):
            a = support[i]
            step[a] += fraction * (target[i] - step[a])
        if vanishing < 0:
            return
        step[support[vanishing]] = 0.0
        kept = 0
        for i in range(size):
            a = support[i]
            if step[a] * signs[a] > 0.0:
                support[kept] = a
                kept += 1
            else:
                step[a] = 0.0
        size = kept


@compiled_part
def fista(
    n,
    gram,
    similarity,
    penalty,
    positive,
    max_iter,
    tolerance,
    weights,
    drops,
    n_before,
    vectors,
    support,
    factor,
):
    """Minimise over `weights`, in place.

    Parameters
    ----------
    n : int
        Number of candidates; all arrays may be larger.
    gram : ndarray of shape (n, n), the nugget already on its diagonal
    similarity : ndarray of shape (n,), the vector k
    penalty : float
    positive : bool
    max_iter : int
    tolerance : float
        Stop when the optimality gap is at most this.
    weights : ndarray of shape (n,)
        Starting point and result.
    drops : ndarray of shape (n_before + max_iter,)
        Receives the fall of the objective in every iteration.
    n_before : int
        Number of iterations that are in `drops` already.
    vectors, support, factor : ndarray of shape (7, n), (n,), (n, n)
        Room to work in.

    Returns
    -------
    int
        Number of iterations done.
    """
    product, step, step_product = vectors[0], vectors[1], vectors[2]
    ahead, ahead_product = vectors[3], vectors[4]  # the extrapolated point
    signs, target = vectors[5], vectors[6]
    multiply(n, gram, weights, product)
    value = objective(n, similarity, weights, product, penalty)
    for a in range(n):
        ahead[a] = weights[a]
        ahead_product[a] = product[a]
    bound = 2.0 * gram[0, 0]
    momentum = 1.0
    n_iter = 0
    while n_iter < max_iter:
        step_on_support(
            n, gram, similarity, penalty, weights, step, support, signs, factor, target
        )
        multiply(n, gram, step, step_product)
        new_value = objective(n, similarity, step, step_product, penalty)
        if new_value < value:
            drops[n_before + n_iter] = value - new_value
            n_iter += 1
            value = new_value
            momentum = 1.0
            for a in range(n):
                weights[a] = ahead[a] = step[a]
                product[a] = ahead_product[a] = step_product[a]
            gap = optimality_gap(n, similarity, weights, product, penalty, positive)
            if gap <= tolerance or n_iter == max_iter:
                break
        while True:
            threshold = penalty / bound
            for a in range(n):
                moved = ahead[a] - 2.0 * (ahead_product[a] - similarity[a]) / bound
                if moved > threshold:
                    moved -= threshold
                elif moved < -threshold and not positive:
                    moved += threshold
                else:
                    moved = 0.0
                step[a] = moved
            multiply(n, gram, step, step_product)
            curvature = 0.0
            length = 0.0
            for a in range(n):
                difference = step[a] - ahead[a]
                curvature += difference * (step_product[a] - ahead_product[a])
                length += difference * difference
            # The quadratic model is exact, so this is the whole test.
            if 2.0 * curvature <= bound * length * (1.0 + 1e-12):
                break
            needed = 2.0 * curvature / length
            bound = needed if needed > 2.0 * bound else 2.0 * bound
        new_value = objective(n, similarity, step, step_product, penalty)
        if new_value >= value:
            if momentum == 1.0:
                break  # no step from here lowers the objective any more
            momentum = 1.0
            for a in range(n):
                ahead[a] = weights[a]
                ahead_product[a] = product[a]
            continue
        drops[n_before + n_iter] = value - new_value
        n_iter += 1
        value = new_value
        turned = 0.0
        for a in range(n):
            turned += (ahead[a] - step[a]) * (step[a] - weights[a])
        if turned > 0.0:
            momentum = 1.0
        next_momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum * momentum))
        pull = (momentum - 1.0) / next_momentum
        for a in range(n):
            weight, its_product = step[a], step_product[a]
            ahead[a] = weight + pull * (weight - weights[a])
            ahead_product[a] = its_product + pull * (its_product - product[a])
            weights[a], product[a] = weight, its_product
        momentum = next_momentum
        bound *= 0.9
        gap = optimality_gap(n, similarity, weights, product, penalty, positive)
        if gap <= tolerance:
            break
    return n_iter


@compiled_part
def label_kernel(a, b, kernel):
    """Label term of the composite kernel between two classes."""
    return kernel[2] if a == b else kernel[2] * kernel[3]


@compiled_part
def similarity_to(n, points, node, code, nodes, codes, kernel, similarity):
    """Kernel between one row and its candidates, divided by its largest entry.

    Returns the divisor, zero where all entries are. The problem is homogeneous:
    with k and lambda divided by a number, so is w. Working at scale one keeps rows
    solvable whose kernel values are all next to nothing; where the label term is
    zero everywhere, the feature kernel is taken relative to the nearest candidate.
    """
    nearest = np.inf
    label_floor = 0.0
    for a in range(n):
        exponent = kernel[0] * squared_distance(points, nodes[a], node)
        similarity[a] = exponent
        of_label = label_kernel(code, codes[a], kernel)
        nearest = exponent if exponent < nearest else nearest
        label_floor = of_label if of_label > label_floor else label_floor
    shift = nearest if label_floor == 0.0 else 0.0
    largest = 0.0
    for a in range(n):
        value = kernel[1] * np.exp(shift - similarity[a])
        value += label_kernel(code, codes[a], kernel)
        similarity[a] = value
        largest = value if value > largest else largest
    if largest == 0.0:
        return 0.0
    for a in range(n):
        similarity[a] /= largest
    # exp(-690) is the smallest power that leaves room for weights below it.
    return largest * np.exp(-shift if shift < 690.0 else -690.0)


@compiled_part
def kernel_row(n, points, nodes, codes, a, kernel, nugget, row):
    """Kernel between candidate `a` and all candidates."""
    for b in range(n):
        squared = squared_distance(points, nodes[a], nodes[b])
        value = kernel[1] * np.exp(-kernel[0] * squared)
        row[b] = value + label_kernel(codes[a], codes[b], kernel)
    row[a] += nugget


@compiled_part
def worst_violator(
    n, similarity, product, weights, penalty, positive, working, threshold
):
    """Candidate outside the working set that violates optimality most, or -1."""
    worst = -1
    for a in range(n):
        if not working[a]:
            excess = violation(similarity[a], product[a], weights[a], penalty, positive)
            if excess > threshold:
                worst = a
                threshold = excess
    return worst


@compiled_part
def is_copy_of_member(a, size, rows, kernel, nuggets):
    """Whether the kernel cannot tell candidate `a` from one of the working set.

    Both together would make the equations of their support singular, and a
    weight on either means the same.
    """
    if nuggets[a] > _SINGULAR:
        return False
    for i in range(size):
        if rows[i, a] >= (kernel[1] + kernel[2]) * (1.0 - _SINGULAR):
            return True
    return False


@compiled_part
def start_with_one(n, similarity, penalty, nuggets, kernel, weights):
    """Put the best weight on the most similar candidate alone.

    Positive for every penalty below lambda* = 2, so that no row can end empty
    (Proposition 1 of the publication). Returns the fall of the objective.
    """
    best = 0
    for a in range(n):
        if similarity[a] > similarity[best]:
            best = a
    diagonal = kernel[1] + kernel[2] + nuggets[best]
    weight = (similarity[best] - 0.5 * penalty) / diagonal
    weights[best] = weight
    return weight * weight * diagonal


@compiled_part
def solve_row(
    n,
    points,
    nodes,
    codes,
    kernel,
    nuggets,
    similarity,
    penalty,
    solver,
    weights,
    drops,
    vectors,
    places,
    rows,
    gram,
    factor,
):
    """Solve over a working set that grows by the worst violators.

    A row keeps a handful of its candidates, so the kernel is only evaluated
    between those and the rest. The gap returned is over all candidates.
    """
    positive, tolerance = solver
    max_iter = drops.shape[0]
    product, target, start = vectors[7], vectors[8], vectors[9]
    support, members, working = places[0], places[1], places[2]
    n_iter = 0
    size = 0
    for a in range(n):
        working[a] = weights[a] != 0.0
        size += working[a]
    if size == 0:
        drops[0] = start_with_one(n, similarity, penalty, nuggets, kernel, weights)
        n_iter = 1
    size = 0
    for a in range(n):
        if weights[a] != 0.0:
            working[a] = True
            members[size] = a
            kernel_row(n, points, nodes, codes, a, kernel, nuggets[a], rows[size])
            size += 1
    limit = size + _GROWTH if size + _GROWTH > _FIRST else _FIRST
    while True:
        for a in range(n):
            product[a] = 0.0
        for i in range(size):
            w = weights[members[i]]
            if w != 0.0:
                for a in range(n):
                    product[a] += w * rows[i, a]
        before = size
        while size < limit:
            a = worst_violator(
                n, similarity, product, weights, penalty, positive, working, tolerance
            )
            if a < 0:
                break
            working[a] = True
            if is_copy_of_member(a, size, rows, kernel, nuggets):
                continue
            members[size] = a
            kernel_row(n, points, nodes, codes, a, kernel, nuggets[a], rows[size])
            size += 1
        gap = optimality_gap(n, similarity, weights, product, penalty, positive)
        if gap <= tolerance or n_iter >= max_iter:
            break
        for i in range(size):
            target[i] = similarity[members[i]]
            start[i] = weights[members[i]]
            for j in range(size):
                gram[i, j] = rows[i, members[j]]
        iterations = fista(
            size,
            gram,
            target,
            penalty,
            positive,
            max_iter - n_iter,
            tolerance,
            start,
            drops,
            n_iter,
            vectors,
            support,
            factor,
        )
        for i in range(size):
            weights[members[i]] = start[i]
        n_iter += iterations
        if iterations == 0 and size == before:
            break  # at the limit of double precision
        limit = size + (size // 2 if size > 2 * _GROWTH else _GROWTH)
    return n_iter, gap


@compiled
def solve_rows(
    points,
    pair_node,
    pair_code,
    pair_weight,
    rows,
    candidates,
    fractions,
    kernel,
    nugget,
    solver,
    weights,
    gaps,
    lambda_max,
    n_iter,
    objective_path,
    room,
):
    """Solve the problem of several rows over their candidates.

    Spreading a weight evenly over the copies of a candidate divides its square by
    their number: a candidate of w rows has the nugget divided by w. One of weight
    w < 1 is like a row that is there with that probability: the expected objective
    is that of a row that is there, its diagonal 1 + nugget divided by w (the ridge
    of dropout: Wager, Wang and Liang 2013, "Dropout training as adaptive
    regularization", NeurIPS 26).

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32
    pair_node, pair_code, pair_weight : ndarray of shape (n_pairs,)
    rows : ndarray of shape (n_rows,)
        The pairs to represent.
    candidates : ndarray of shape (n_rows, width)
        Candidate pairs of every row, packed to the left, padded with -1.
    fractions : ndarray of shape (n_rows,)
        Penalties as fractions of lambda*.
    kernel : tuple of four floats
        1 / (2 sigma^2), weight of the features, of the labels, label discount.
    nugget : float
    solver : tuple of (positive, tol)
    weights : ndarray of shape (n_rows, width)
        Starting points and results.
    gaps : ndarray of shape (n_rows,)
        Result: optimality gap over lambda*.
    lambda_max : ndarray of shape (n_rows,)
        lambda* where it is known, else 0: then it is found among the candidates.
    n_iter : ndarray of shape (n_rows,)
        Iterations are added, so that a row solved again goes on counting.
    objective_path : ndarray
        Receives the fall of the objective, summed over rows, by iteration.
    room : tuple of ndarray of shape (max_iter,), (13, width), (5, width), int64, \
            and (3, width, width)
        To work in; the first is as long as there may be iterations.
    """
    positive, tol = solver
    width = candidates.shape[1]
    drops, vectors, places, squares = room
    known_rows, gram, factor = squares[0], squares[1], squares[2]
    similarity, nuggets, scaled = vectors[10], vectors[11], vectors[12]
    nodes, codes = places[3], places[4]
    for r in range(rows.shape[0]):
        if r + 1 < rows.shape[0]:
            # Memory is far away; the row at hand is work enough meanwhile.
            fetch_candidates(
                points, pair_node, pair_code, pair_weight, candidates, r + 1
            )
        pair = rows[r]
        n = 0
        while n < width and candidates[r, n] >= 0:
            other = candidates[r, n]
            nodes[n], codes[n] = pair_node[other], pair_code[other]
            # A row's own pair offers its other copies.
            weight = pair_weight[other] - (1.0 if other == pair else 0.0)
            if weight >= 1.0:
                nuggets[n] = nugget / weight
            else:
                weight = weight if weight > LEAST_REST else LEAST_REST
                nuggets[n] = (1.0 + nugget) / weight - 1.0
            n += 1
        if n == 0:
            continue
        scale = similarity_to(
            n,
            points,
            pair_node[pair],
            pair_code[pair],
            nodes,
            codes,
            kernel,
            similarity,
        )
        if scale == 0.0:
            continue  # similar to no row: no neighbor is optimal for any penalty
        if lambda_max[r] == 0.0:
            lambda_max[r] = 2.0 * scale
        for a in range(n):
            scaled[a] = weights[r, a] / scale
        iterations, gap = solve_row(
            n,
            points,
            nodes,
            codes,
            kernel,
            nuggets,
            similarity,
            fractions[r] * lambda_max[r] / scale,
            (positive, tol * lambda_max[r] / scale),
            scaled,
            drops,
            vectors,
            places,
            known_rows,
            gram,
            factor,
        )
        for a in range(n):
            weights[r, a] = scaled[a] * scale
        for i in range(iterations):
            at, last = n_iter[r] + i, objective_path.shape[0] - 1
            at = at if at < last else last
            objective_path[at] += drops[i] * scale * scale
        n_iter[r] += iterations
        gaps[r] = gap * scale / lambda_max[r]
