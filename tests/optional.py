"""What tests need and an installation may lack."""

import pytest


def skip_without_torch(text: str) -> None:
    """Skip what uses PyTorch where that is not installed."""
    if "knngraph.torch" in text:
        pytest.importorskip("torch", reason="PyTorch is not installed: make test-torch")
