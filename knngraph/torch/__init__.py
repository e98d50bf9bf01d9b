"""Layers and graphs of nearest neighbors for PyTorch; `pip install 'knngraph[torch]'`.

Nothing else of the package imports this folder, so that `import knngraph` never loads
torch.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "knngraph.torch needs PyTorch: pip install 'knngraph[torch]'"
    ) from error
