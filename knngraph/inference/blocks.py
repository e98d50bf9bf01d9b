"""How many queries are answered at once."""

# Queries of one block times classes: bounds the memory of their votes.
VOTES_PER_BLOCK = 4_000_000


def queries_per_block(n_classes: int) -> int:
    """Largest number of queries whose votes are held at once.

    Examples
    --------
    >>> from knngraph.inference.blocks import queries_per_block
    >>> queries_per_block(n_classes=1000)
    4000
    """
    return max(1, VOTES_PER_BLOCK // n_classes)
