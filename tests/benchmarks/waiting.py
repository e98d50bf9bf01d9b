"""Work without an end, for the tests of processes that are stopped."""

import os
import time
from pathlib import Path


def wait(path: str, seconds: float) -> dict[str, float]:
    """Leave the number of this process in a file, then wait."""
    part = Path(path).with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.replace(path)
    time.sleep(seconds)
    return {}
