"""How large the things are that travel: Dask places tasks by it."""

import ctypes
import sys
from dataclasses import fields, is_dataclass
from sys import getsizeof
from typing import Any

import numpy as np
from scipy import sparse


class Weighed:
    """Base of dataclasses whose size is that of the arrays they hold.

    Dask asks `sys.getsizeof`, which sees no array inside. Tasks would then be sent
    to their small arguments, and an index be moved to a few queries.
    """

    def __sizeof__(self) -> int:
        own: int = object.__sizeof__(self)
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return own + sum(n_bytes_of(getattr(self, name)) for name in names)


def n_bytes_of(value: Any) -> int:
    """Bytes of the arrays in a value.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.sizes import n_bytes_of
    >>> n_bytes_of([np.zeros(3), (np.zeros(2, dtype=np.float32), None)])
    32
    """
    if value is None:
        return 0
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if sparse.issparse(value):
        return int(value.data.nbytes + value.indices.nbytes + value.indptr.nbytes)
    if isinstance(value, list | tuple):
        return sum(n_bytes_of(item) for item in value)
    if is_dataclass(value) and not isinstance(value, Weighed):
        return sum(n_bytes_of(getattr(value, field.name)) for field in fields(value))
    # An index knows itself; everything else is small.
    return int(getattr(value, "n_bytes", 0)) or getsizeof(value)


def give_back_freed() -> None:
    """Have the C library give back the memory of small arrays that are gone.

    It keeps what lies between others that are still there. Where it offers no way,
    as on other systems than Linux, nothing happens.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
