"""Every device that is there; the CPU always is."""

import os

import pytest

try:
    import torch
except ImportError:
    torch = None  # the tests beside it are not collected

# Without it, deterministic algorithms refuse products of matrices on a GPU.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

DEVICES = ["cpu"]
if torch is not None and torch.cuda.is_available():
    DEVICES.append("cuda")
if torch is not None and torch.backends.mps.is_available():
    DEVICES.append("mps")


@pytest.fixture(params=DEVICES)
def device(request):
    """A device by name, and weights that are the same in every run."""
    torch.manual_seed(0)
    # Convolutions on a GPU round their input to ten bits otherwise.
    torch.backends.cudnn.allow_tf32 = False
    return request.param


@pytest.fixture
def numbers(device):
    """Normal numbers of any shape, the same for every device."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape, dtype=torch.float32):
        return torch.randn(*shape, generator=generator).to(device, dtype)

    return draw
