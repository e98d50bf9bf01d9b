"""Convolutions over neighbors that are chosen by features, location or both."""

import math
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from knngraph.torch.gather import aggregate, rows_of
from knngraph.torch.neighbors import (
    NeighborOptions,
    check_count,
    choose,
    compared_features,
    pad_cells,
)
from knngraph.torch.positions import Grid
from knngraph.torch.ranking import is_exported

_WEIGHTS = ("slots", "softmax")


class _ConvNN(nn.Module):
    """What the layers for sequences and images share."""

    n_dims: int
    _convolution: Any
    _channels: str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_neighbors: int,
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        compare: str = "features",
        distance: str = "cosine",
        location_weight: float = 0.5,
        learn_location_weight: bool = False,
        gather_location: bool = False,
        candidates: str = "all",
        n_candidates: int | None = None,
        seed: int = 0,
        weights: str = "slots",
        block_size: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("in_channels", in_channels)
        check_count("out_channels", out_channels)
        check_count("groups", groups)
        for name, number in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
        ):
            if number % groups:
                raise ValueError(f"{name}={number} is not divisible by groups={groups}")
        if weights not in _WEIGHTS:
            raise ValueError(f"weights={weights!r} is not one of {_WEIGHTS}")
        if learn_location_weight and (weights, compare) != ("softmax", "hybrid"):
            raise ValueError(
                f"learn_location_weight=True with weights={weights!r} and compare="
                f"{compare!r}: it gets a gradient only by weights='softmax' with "
                "compare='hybrid', for no gradient passes through the choice itself"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.groups = groups
        self.weights = weights
        self.gather_location = gather_location
        self.options = NeighborOptions(
            n_neighbors=n_neighbors,
            n_dims=self.n_dims,
            compare=compare,
            distance=distance,
            location_weight=float(location_weight),
            candidates=candidates,
            n_candidates=n_candidates,
            seed=seed,
            stride=self._per_dimension("stride", stride, 1),
            padding=self._per_dimension("padding", padding, 0),
            dilation=self._per_dimension("dilation", dilation, 1),
            block_size=block_size,
        )
        kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        n_gathered = in_channels // groups + (self.n_dims if gather_location else 0)
        self.weight = nn.Parameter(
            torch.empty(out_channels, n_gathered, n_neighbors, **kwargs)
        )
        self.bias: nn.Parameter | None
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels, **kwargs))
        else:
            self.register_parameter("bias", None)
        self.location_weight: nn.Parameter | None
        if learn_location_weight:
            self.location_weight = nn.Parameter(torch.empty((), **kwargs))
        else:
            self.register_parameter("location_weight", None)
        self.reset_parameters()

    def _per_dimension(
        self, name: str, value: int | tuple[int, ...], smallest: int
    ) -> tuple[int, ...]:
        values = (value,) * self.n_dims if isinstance(value, int) else tuple(value)
        if len(values) != self.n_dims or not all(
            isinstance(v, int) and v >= smallest for v in values
        ):
            raise ValueError(
                f"{name}={value!r} must be an integer of at least {smallest}, "
                f"or {self.n_dims} of them"
            )
        return values

    @classmethod
    def _from_convolution(cls, convolution: Any, options: dict[str, Any]) -> Any:
        """A layer with the channels and the weights of a convolution."""
        if convolution.kernel_size.count(convolution.kernel_size[0]) != cls.n_dims:
            raise ValueError(f"kernel_size={convolution.kernel_size} is not square")
        check_size_is_kept(convolution)
        layer = cls(
            convolution.in_channels,
            convolution.out_channels,
            math.prod(convolution.kernel_size),
            stride=convolution.stride,
            dilation=convolution.dilation,
            groups=convolution.groups,
            bias=convolution.bias is not None,
            device=convolution.weight.device,
            dtype=convolution.weight.dtype,
            **({"padding": _padding(convolution)} | options),
        )
        half = convolution.kernel_size[0] // 2
        cells = list(product(range(-half, half + 1), repeat=cls.n_dims))
        slots = cells
        if not layer.options.located:
            # From the middle outwards, as neighbors by location would be ranked.
            slots = sorted(cells, key=lambda step: (sum(s * s for s in step), step))
        elif tuple(cells) != layer.options.offsets:
            raise ValueError(
                f"kernel_size={convolution.kernel_size}: its cells are not those "
                f"nearest to the middle one, as for 3 x 3 and 5 x 5"
            )
        order = [cells.index(step) for step in slots]
        with torch.no_grad():
            n_channels = convolution.weight.shape[1]
            layer.weight[:, :n_channels].copy_(
                convolution.weight.flatten(2)[..., order]
            )
            layer.weight[:, n_channels:].zero_()
            if layer.bias is not None:
                layer.bias.copy_(convolution.bias)
        return layer.train(convolution.training)

    def _to_convolution(self, kind: Any) -> Any:
        """The convolution that computes the same."""
        options = self.options
        if not options.is_convolution or self.weights != "slots":
            raise ValueError(
                "only compare='location' with candidates='all', weights='slots' and a "
                f"padding of at least {options.reach} is a convolution"
            )
        if self.gather_location:
            raise ValueError("gather_location=True adds channels to the input")
        kernel = self._kernel()
        convolution = kind(
            self.in_channels,
            self.out_channels,
            kernel.shape[2:],
            stride=options.stride,
            padding=options.reach,
            dilation=options.dilation,
            groups=self.groups,
            bias=self.bias is not None,
            device=kernel.device,
            dtype=kernel.dtype,
        )
        with torch.no_grad():
            convolution.weight.copy_(kernel)
            if self.bias is not None:
                convolution.bias.copy_(self.bias)
        return convolution.train(self.training)

    def reset_parameters(self) -> None:
        """Draw weights and bias as `torch.nn.Conv2d` does for as many weights."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)
        if self.location_weight is not None:
            nn.init.constant_(self.location_weight, self.options.location_weight)

    def forward(self, x: Tensor) -> Tensor:
        """Aggregate the neighbors of every position.

        Parameters
        ----------
        x : Tensor of shape (B, C, ...), or (C, ...)

        Returns
        -------
        Tensor of shape (B, O, ...), or (O, ...)
        """
        batched = self._batched(x)
        if self.options.is_convolution and self.weights == "slots":
            y = self._convolve(batched)
        else:
            y = self._aggregate(batched)
        return y if x.ndim == batched.ndim else y.squeeze(0)

    def neighbors(self, x: Tensor) -> Tensor:
        """Positions of the neighbors that `forward` takes.

        Where candidates are random and the module is in training, every call draws
        anew.

        Parameters
        ----------
        x : Tensor of shape (B, C, ...), or (C, ...)

        Returns
        -------
        Tensor of shape (B, Q, K), or (Q, K), int64
            With groups, (B, groups, Q, K). Positions in row-major order, of the padded
            input where locations are compared.
        """
        batched = self._batched(x)
        grid = self._grid(batched)
        index = self._choose(self._rows(batched), grid)
        index = index.squeeze(0) if self.groups == 1 else index.transpose(0, 1)
        return index if x.ndim == batched.ndim else index.squeeze(0)

    def _batched(self, x: Tensor) -> Tensor:
        if x.ndim != self.n_dims + 1 and x.ndim != self.n_dims + 2:
            axes = "C, N" if self.n_dims == 1 else "C, H, W"
            raise ValueError(
                f"x has {x.ndim} dimensions; it must be (B, {axes}) or ({axes})"
            )
        batched = x.unsqueeze(0) if x.ndim == self.n_dims + 1 else x
        if batched.shape[1] != self.in_channels:
            raise ValueError(
                f"x has {batched.shape[1]} channels, in_channels={self.in_channels}"
            )
        return batched

    def _grid(self, x: Tensor) -> Grid:
        return Grid(tuple(x.shape[2:]), self.options.padding, x.device)

    def _rows(self, x: Tensor) -> Tensor:
        """Channels of every position, by group: (G, B, N, C)."""
        grouped = x.flatten(2).unflatten(1, (self.groups, -1))
        return grouped.permute(1, 0, 3, 2).contiguous()

    def _choose(self, rows: Tensor, grid: Grid) -> Tensor:
        """Neighbors as (G, B, Q, K)."""
        draw: Tensor | int = 0
        if self.training and self.options.candidates == "random":
            # From the generator of the device, as dropout draws: checkpoints repeat it.
            draw = torch.randint(2**31 - 1, (), device=rows.device)
        index = choose(
            rows.flatten(0, 1),
            grid,
            self.options,
            location_weight=self.location_weight,
            draw=draw,
        )
        return index.unflatten(0, (self.groups, -1))

    def _aggregate(self, x: Tensor) -> Tensor:
        grid = self._grid(x)
        rows = self._rows(x)
        index = self._choose(rows, grid)
        shares = self._shares(rows, grid, index) if self.weights == "softmax" else None
        gathered, cells = rows, grid
        if any(self.options.searched_padding):
            gathered, cells = self._rows(pad_cells(x, grid.padding)), grid.padded
        if self.gather_location:
            places = cells.coordinates()
            places = places.to(gathered.dtype).expand(*gathered.shape[:2], -1, -1)
            gathered = torch.cat([gathered, places], -1)
        weight, bias = self.weight, self.bias
        kind = x.device.type
        if kind != "meta" and torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            gathered, weight = gathered.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
            shares = None if shares is None else shares.to(dtype)
        y = aggregate(gathered, index, weight.unflatten(0, (self.groups, -1)), shares)
        y = y.permute(1, 2, 0, 3).flatten(2)
        if bias is not None:
            y = y + bias
        size = [
            (n + step - 1) // step for n, step in zip(x.shape[2:], self.options.stride)
        ]
        y = y.mT.unflatten(2, size)
        # Channels last in memory stay there.
        last = not is_exported() and x.stride(1) == 1 < x.stride(-1)
        return y if last else y.contiguous()

    def _shares(self, rows: Tensor, grid: Grid, index: Tensor) -> Tensor:
        """Softmax over the scores of the neighbors, with gradients; (G, B, Q, K)."""
        flat = index.flatten(0, 1)
        queries = grid.strided(self.options.stride)
        if self.options.located:
            cells = grid.padded
            queries = grid.in_padded(queries)
            s = cells.coordinates().expand(flat.shape[0], -1, -1)
        else:
            weight: Tensor | float = self.options.location_weight
            if self.location_weight is not None:
                weight = self.location_weight
            s = compared_features(rows.flatten(0, 1), grid, self.options, weight)
        q = s[:, queries].unsqueeze(2)
        if self.options.distance == "cosine" and not self.options.located:
            s = functional.normalize(s, dim=-1)
            q = functional.normalize(q, dim=-1)
            scores = (rows_of(s, flat) * q).sum(-1)
        else:
            scores = -(rows_of(s, flat) - q).square().sum(-1)
        shares = scores.softmax(-1).to(rows.dtype)
        return shares.unflatten(0, (self.groups, -1))

    def _convolve(self, x: Tensor) -> Tensor:
        """Neighbors by location are those of an ordinary convolution."""
        options = self.options
        reach = options.reach
        if self.gather_location:
            cells = Grid(tuple(x.shape[2:]), options.padding, x.device).padded
            places = cells.coordinates().to(x.dtype).mT.unflatten(1, cells.size)
            padded = pad_cells(x, options.padding).unflatten(1, (self.groups, -1))
            places = places.expand(padded.shape[0], self.groups, *places.shape)
            x = torch.cat([padded, places], 2).flatten(1, 2)
            for axis, (p, r) in enumerate(zip(options.padding, reach)):
                length = x.shape[axis + 2] - 2 * (p - r)
                x = x.narrow(axis + 2, p - r, length)
            reach = (0,) * self.n_dims
        return self._convolution(
            x,
            self._kernel(),
            self.bias,
            options.stride,
            reach,
            options.dilation,
            self.groups,
        )

    def _kernel(self) -> Tensor:
        """The weights in a kernel of the convolution, zero between them."""
        offsets = self.options.offsets
        reach = [max(abs(s) for s in axis) for axis in zip(*offsets)]
        size = [2 * r + 1 for r in reach]
        places = []
        for step in offsets:
            flat = 0
            for n, r, s in zip(size, reach, step):
                flat = flat * n + s + r
            places.append(flat)
        if math.prod(size) == len(places):
            return self.weight.unflatten(2, size)
        slot = {place: j for j, place in enumerate(places)}
        zero = torch.zeros_like(self.weight[..., 0])
        columns = [
            self.weight[..., slot[place]] if place in slot else zero
            for place in range(math.prod(size))
        ]
        return torch.stack(columns, -1).unflatten(2, size)

    def extra_repr(self) -> str:
        """Arguments of the constructor that differ from their defaults."""
        options = self.options
        parts = [f"{self.in_channels}, {self.out_channels}, {options.n_neighbors}"]
        shown = {
            "stride": (options.stride, (1,) * self.n_dims),
            "padding": (options.padding, (0,) * self.n_dims),
            "dilation": (options.dilation, (1,) * self.n_dims),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
            "compare": (options.compare, "features"),
            "distance": (options.distance, "cosine"),
            "location_weight": (options.location_weight, 0.5),
            "learn_location_weight": (self.location_weight is not None, False),
            "gather_location": (self.gather_location, False),
            "candidates": (options.candidates, "all"),
            "n_candidates": (options.n_candidates, None),
            "seed": (options.seed, 0),
            "weights": (self.weights, "slots"),
            "block_size": (options.block_size, None),
        }
        parts += [f"{name}={v!r}" for name, (v, usual) in shown.items() if v != usual]
        return ", ".join(parts)


def check_size_is_kept(convolution: Any) -> None:
    """Raise unless a convolution gives an output for every stride-th position."""
    kept = tuple(
        d * (n - 1) // 2 for d, n in zip(convolution.dilation, convolution.kernel_size)
    )
    odd = all(n % 2 for n in convolution.kernel_size)
    if not odd or _padding(convolution) != kept or convolution.padding_mode != "zeros":
        raise ValueError(
            f"kernel_size={convolution.kernel_size}, padding={convolution.padding}, "
            f"padding_mode={convolution.padding_mode!r}: only with an odd kernel and "
            f"padding={kept} of zeros does a convolution keep the size of its input"
        )


def _padding(convolution: Any) -> tuple[int, ...]:
    if convolution.padding == "same":
        pairs = zip(convolution.dilation, convolution.kernel_size)
        return tuple(d * (n - 1) // 2 for d, n in pairs)
    if convolution.padding == "valid":
        return (0,) * len(convolution.kernel_size)
    return tuple(convolution.padding)


class ConvNN1d(_ConvNN):
    """Convolution over the nearest neighbors of every position of a sequence.

    `ConvNN2d` for inputs (B, C, N) or (C, N); see there. Candidates of an even grid are
    any number of them.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import ConvNN1d
    >>> ConvNN1d(4, 8, 3)(torch.randn(2, 4, 10)).shape
    torch.Size([2, 8, 10])
    """

    n_dims = 1
    _convolution = staticmethod(functional.conv1d)

    @classmethod
    def from_conv1d(cls, convolution: nn.Conv1d, **options: Any) -> "ConvNN1d":
        """See `ConvNN2d.from_conv2d`."""
        layer: ConvNN1d = cls._from_convolution(convolution, options)
        return layer

    def to_conv1d(self) -> nn.Conv1d:
        """See `ConvNN2d.to_conv2d`."""
        return self._to_convolution(nn.Conv1d)


class ConvNN2d(_ConvNN):
    """Convolution over the nearest neighbors of every position of an image.

    y_i = b + sum over j of W_j v_I(i, j), where I(i, 1), ..., I(i, K) are the neighbors
    of position i [1]_. They are chosen by what a position holds, by where it is, or by
    both; chosen by location, this is `torch.nn.Conv2d` (K = 9 with padding=1 is its 3 x
    3 kernel). The layer has as many weights as a convolution with K taps.

    Parameters
    ----------
    in_channels, out_channels : int
    n_neighbors : int
        Number K of neighbors, the position itself among them.
    stride : int or pair, default=1
        Only every stride-th position gets an output; all are candidates.
    padding : int or pair, default=0
        Cells of zeros around the image, which can be neighbors where locations are
        compared and never else. The output has the size of the image (divided by the
        stride) whatever the padding.
    dilation : int or pair, default=1
        By location, steps between the cells of the kernel. Else every dilation-th
        neighbor by rank is taken, from (K - 1) dilation + 1 [2]_.
    groups : int, default=1
        As so many layers side by side: each chooses its neighbors by its own channels.
    bias : bool, default=True
    compare : {"features", "location", "hybrid"}, default="features"
        What is compared: the channels x_i of a position; its coordinates p_i; or
        [(1 - w) x_i / (sd + 1e-6) ; w p_i], where sd is the standard deviation of all
        numbers of the image and w is `location_weight`. Coordinates run from -1 to 1
        along the longest side, padding included; cells are square.
    distance : {"cosine", "euclidean"}, default="cosine"
        Locations alone are compared by their Euclidean distance always.
    location_weight : float, default=0.5
        The weight w, from 0 (features only) to 1 (locations only).
    learn_location_weight : bool, default=False
        Make it a parameter. It gets a gradient only by weights="softmax" with
        compare="hybrid": none passes through the choice.
    gather_location : bool, default=False
        Aggregate [x_i ; p_i], the x and then the y coordinate behind the channels.
    candidates : {"all", "random", "grid"}, default="all"
        Positions that can be neighbors; the position itself always is. Random ones are
        drawn anew in every forward pass of a module in training, from the generator of
        the device as for dropout, so that checkpointed passes see the same; in
        evaluation they follow from the seed.
    n_candidates : int or None, default=None
        Number of random positions, or of those of an even grid in all, a square
        number. Smaller images offer what they have.
    seed : int, default=0
    weights : {"slots", "softmax"}, default="slots"
        "softmax" multiplies every neighbor by the softmax over the scores of the K
        neighbors (the cosine, or minus the squared distance). Then the compared
        features get a gradient as well.
    block_size : int or None, default=None
        Number of positions that are compared at once; None follows from a bound on
        memory. It changes no result.
    device, dtype
        Of the parameters.

    Attributes
    ----------
    weight : Parameter of shape (out_channels, C', n_neighbors)
        C' is in_channels / groups, and two more with `gather_location`. Slots are
        ordered by rank, the position itself first; those of locations by position, as
        the cells of a kernel.
    bias : Parameter of shape (out_channels,), or None
    location_weight : Parameter of shape (), or None

    Notes
    -----
    The choice is exact, equal scores go to the lowest position, and it is the same in
    any batch, on the CPU and on a GPU: see `neighbor_indices`. An image with fewer
    positions than neighbors is an error.

    A graph by `torch.export` runs without this package. In torch 2.4, which cannot tell
    an export, it holds operators of it, and sizes that vary pass for few options.

    References
    ----------
    .. [1] M. Kang and J. Farias Sales Rocha Neto. "Attention via convolutional nearest
       neighbors". arXiv:2511.14137, 2025.
    .. [2] G. Li, M. Müller, A. Thabet and B. Ghanem. "DeepGCNs: can GCNs go as deep as
       CNNs?". ICCV, 2019.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import ConvNN2d
    >>> layer = ConvNN2d(4, 8, n_neighbors=9, compare="hybrid")
    >>> x = torch.randn(2, 4, 6, 5)
    >>> layer(x).shape
    torch.Size([2, 8, 6, 5])
    >>> layer.neighbors(x).shape
    torch.Size([2, 30, 9])
    """

    n_dims = 2
    _convolution = staticmethod(functional.conv2d)

    @classmethod
    def from_conv2d(cls, convolution: nn.Conv2d, **options: Any) -> "ConvNN2d":
        """A layer with the channels, stride, groups and weights of a convolution.

        Parameters
        ----------
        convolution : torch.nn.Conv2d
            With a square kernel that keeps the size of the image.
        **options
            Of the constructor, such as `compare`. By location the layer computes what
            the convolution does. Else the weights of the kernel become those of ranks
            from the middle outwards.

        Returns
        -------
        ConvNN2d
        """
        layer: ConvNN2d = cls._from_convolution(convolution, options)
        return layer

    def to_conv2d(self) -> nn.Conv2d:
        """The convolution that a layer over neighbors by location is."""
        return self._to_convolution(nn.Conv2d)
