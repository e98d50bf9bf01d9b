"""Compiled lists of the least of many numbers, for the search by brute force."""

from knngraph.compiling import compiled


@compiled
def keep_least(numbers, first, ids, kept):
    """Keep the least numbers of every row, block after block of columns.

    Of equal numbers those of the first columns are kept.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, n_columns)
        The next block.
    first : int
        Number of its first column.
    ids : ndarray of shape (n_rows, k), intp
        Columns kept so far, in no order; -1 before there are any.
    kept : ndarray of shape (n_rows, k)
        Their numbers, a heap with the largest in front, of equal ones the last column;
        infinite before.
    """
    k = kept.shape[1]
    for row in range(numbers.shape[0]):
        for column in range(numbers.shape[1]):
            number = numbers[row, column]
            if number >= kept[row, 0]:
                continue
            place = 0
            while True:
                below = 2 * place + 1
                if below >= k:
                    break
                if below + 1 < k:
                    one, other = kept[row, below], kept[row, below + 1]
                    is_last = ids[row, below + 1] > ids[row, below]
                    if other > one or (other == one and is_last):
                        below += 1
                if kept[row, below] <= number:
                    break
                kept[row, place] = kept[row, below]
                ids[row, place] = ids[row, below]
                place = below
            kept[row, place] = number
            ids[row, place] = first + column
