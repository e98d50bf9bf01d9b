"""Memory that is freed, and what of it the process keeps."""

import ctypes
import sys


def give_back_freed() -> None:
    """Have the C library give back the memory of small arrays that are gone.

    It keeps what lies between others that are still there. Where it offers no way,
    as on other systems than Linux, nothing happens.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
