"""What is wrong with a table or an option, in one line for the user."""


class TableProblem(Exception):
    """A table or an option that cannot be compared on.

    The message is one line that names the file, column or option, and the way out.
    """


def quoted(names: object, limit: int = 5) -> str:
    """A few names in quotes, and how many more there are.

    Examples
    --------
    >>> from knngraph.compare.problem import quoted
    >>> quoted(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    found = [repr(str(name)) for name in names]  # type: ignore[attr-defined]
    shown = ", ".join(found[:limit])
    more = len(found) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> from knngraph.compare.problem import counted
    >>> counted(1, "row"), counted(2500, "row"), counted(3, "class")
    ('1 row', '2,500 rows', '3 classes')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"
