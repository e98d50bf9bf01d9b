"""The layer as it is published, from its formulas: all similarities in one matrix."""

from torch import Tensor, nn
from torch.nn import functional


class PlainConvNN2d(nn.Module):
    """Features compared by their cosine, all candidates, no padding.

    Parameters
    ----------
    n_channels : int
        Of the input and of the output.
    n_neighbors : int
    """

    def __init__(self, n_channels: int, n_neighbors: int) -> None:
        super().__init__()
        self.taps = nn.Conv1d(n_channels, n_channels, n_neighbors, stride=n_neighbors)

    def forward(self, x: Tensor) -> Tensor:
        """Compare all with all, copy the input K-fold, gather, convolve."""
        v = x.flatten(2)
        n_images, n_channels, n_positions = v.shape
        k = self.taps.kernel_size[0]
        unit = functional.normalize(v, dim=1)
        similarity = unit.transpose(1, 2) @ unit
        similarity.diagonal(dim1=1, dim2=2).fill_(1.1)
        index = similarity.topk(k, dim=2).indices
        copies = v.unsqueeze(-1).expand(-1, -1, -1, k).contiguous()
        places = index.unsqueeze(1).expand(-1, n_channels, -1, -1).contiguous()
        gathered = copies.gather(2, places)
        y = self.taps(gathered.view(n_images, n_channels, n_positions * k))
        return y.view(n_images, -1, *x.shape[2:])
