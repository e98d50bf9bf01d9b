"""A convolution over chosen neighbors beside an ordinary one."""

from typing import Any

import torch
from torch import Tensor, nn

from knngraph.torch.convnn import ConvNN1d, ConvNN2d
from knngraph.torch.neighbors import check_count


class _Branched(nn.Module):
    """What the layers for sequences and images share."""

    _chosen: type[ConvNN1d] | type[ConvNN2d]
    _ordinary: type[nn.Conv1d] | type[nn.Conv2d]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_neighbors: int,
        *,
        ratio: float = 0.5,
        kernel_size: int = 3,
        mix: bool = True,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        check_count("out_channels", out_channels)
        check_count("kernel_size", kernel_size)
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio={ratio} must be from 0 to 1")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd")
        n_chosen = int(ratio * out_channels + 1e-9)
        if ratio > 0 and n_chosen == 0:
            raise ValueError(
                f"ratio={ratio} of out_channels={out_channels} is no channel: take "
                f"a ratio of 0 or of at least 1 / {out_channels}"
            )
        self.ratio = ratio
        n_ordinary = out_channels - n_chosen
        shared: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        shared |= {"stride": stride, "dilation": dilation, "groups": groups}
        self.nearest = self.convolution = self.mix = None
        if n_chosen:
            self.nearest = self._chosen(
                in_channels, n_chosen, n_neighbors, **shared, **options
            )
        if n_ordinary:
            self.convolution = self._ordinary(
                in_channels,
                n_ordinary,
                kernel_size,
                padding=dilation * (kernel_size // 2),
                **shared,
            )
        if mix:
            self.mix = self._ordinary(
                out_channels, out_channels, 1, bias=bias, device=device, dtype=dtype
            )

    def reset_parameters(self) -> None:
        """Draw the weights of all parts anew."""
        for part in (self.nearest, self.convolution, self.mix):
            if part is not None:
                part.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Concatenate both, chosen neighbors first, and mix their channels."""
        parts = [
            part(x) for part in (self.nearest, self.convolution) if part is not None
        ]
        y = torch.cat(parts, -self._chosen.n_dims - 1)
        return y if self.mix is None else self.mix(y)

    def extra_repr(self) -> str:
        """The share of output channels over chosen neighbors."""
        return f"ratio={self.ratio}"


class BranchedConvNN1d(_Branched):
    """`BranchedConvNN2d` for inputs (B, C, N) or (C, N); see there.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import BranchedConvNN1d
    >>> BranchedConvNN1d(4, 8, 3, ratio=0.25)(torch.randn(2, 4, 10)).shape
    torch.Size([2, 8, 10])
    """

    _chosen = ConvNN1d
    _ordinary = nn.Conv1d


class BranchedConvNN2d(_Branched):
    """`ConvNN2d` beside `torch.nn.Conv2d`, mixed by a 1 x 1 convolution.

    Both read all input channels. Their outputs are concatenated, those over chosen
    neighbors first.

    Parameters
    ----------
    in_channels, out_channels : int
    n_neighbors : int
        Of `ConvNN2d`.
    ratio : float, default=0.5
        Share of the output channels that are over chosen neighbors, rounded down: 0 is
        the ordinary convolution alone, 1 is `ConvNN2d` alone.
    kernel_size : int, default=3
        Of the ordinary convolution, an odd number.
    mix : bool, default=True
        Whether the 1 x 1 convolution follows.
    stride, dilation, groups, bias
        Of both.
    device, dtype
        Of the parameters.
    **options
        Of `ConvNN2d`: `compare`, `distance`, `candidates` and all others.

    Attributes
    ----------
    nearest : ConvNN2d or None
    convolution : torch.nn.Conv2d or None
    mix : torch.nn.Conv2d or None

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import BranchedConvNN2d
    >>> layer = BranchedConvNN2d(4, 8, n_neighbors=9, ratio=0.25)
    >>> layer(torch.randn(2, 4, 6, 5)).shape
    torch.Size([2, 8, 6, 5])
    """

    _chosen = ConvNN2d
    _ordinary = nn.Conv2d
