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

from knngraph.torch.adjacency import knn_adjacency
from knngraph.torch.attention import NeighborAttention
from knngraph.torch.branched import BranchedConvNN1d, BranchedConvNN2d
from knngraph.torch.convnn import ConvNN1d, ConvNN2d
from knngraph.torch.embed import embed
from knngraph.torch.neighbors import neighbor_indices
from knngraph.torch.swap import swap_convolutions

__all__ = [
    "BranchedConvNN1d",
    "BranchedConvNN2d",
    "ConvNN1d",
    "ConvNN2d",
    "NeighborAttention",
    "embed",
    "knn_adjacency",
    "neighbor_indices",
    "swap_convolutions",
]
