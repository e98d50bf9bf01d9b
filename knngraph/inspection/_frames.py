"""Tables for whoever has pandas."""

from typing import Any


def as_frame(columns: dict[str, Any], asked_by: str) -> Any:
    """A data frame of equally long columns.

    Parameters
    ----------
    columns : dict of sequence
    asked_by : str
        Name of the caller, for the message where pandas is missing.

    Returns
    -------
    pandas.DataFrame
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{asked_by} needs pandas. Install it with: pip install pandas"
        ) from error
    return pandas.DataFrame(columns)
