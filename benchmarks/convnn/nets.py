"""The nets: VGG with branched convolutions, and a small ViT with three mixers."""

import torch
from torch import Tensor, nn

from benchmarks.convnn.plans import POOL, NetSize, Run
from knngraph.torch import BranchedConvNN2d, ConvNN1d, NeighborAttention

N_CLASSES = 10
_DROPOUT = 0.5


def build_net(run: Run, size: NetSize, side: int) -> nn.Module:
    """The net of a run, for images of `side` x `side`, with fresh weights."""
    return ViT(run, size, side) if run.net == "vit" else vgg(run, size, side)


def vgg(run: Run, size: NetSize, side: int) -> nn.Sequential:
    """VGG with batch norm after each layer, an adaptive pool and a head: the poster's.

    Layers with fewer positions than neighbors take all positions.
    """
    layers: list[nn.Module] = []
    n_channels = 3
    for width in size.channels:
        if width == POOL:
            layers.append(nn.MaxPool2d(2))
            side //= 2
            continue
        layers += [_convolution(run, n_channels, width, side), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU(inplace=True))
        n_channels = width
    n_features = n_channels * size.pooled**2
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(size.pooled),
        nn.Flatten(),
        nn.Linear(n_features, size.hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(_DROPOUT),
        nn.Linear(size.hidden, size.hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(_DROPOUT),
        nn.Linear(size.hidden, N_CLASSES),
    )


def _convolution(run: Run, n_in: int, n_out: int, side: int) -> nn.Module:
    if run.mixer == "plain":
        return nn.Conv2d(n_in, n_out, 3, padding=1)
    return BranchedConvNN2d(
        n_in,
        n_out,
        min(run.n_neighbors, side**2),
        ratio=run.ratio,
        compare=run.compared,
        gather_location=run.gathered == "hybrid",
        **_candidates(run, side**2),
    )


def _candidates(run: Run, n_positions: int) -> dict[str, object]:
    """Candidates of a layer; all, where there are no more than are wanted."""
    if run.candidates == "all" or run.n_candidates >= n_positions:
        return {"candidates": "all"}
    return {
        "candidates": run.candidates,
        "n_candidates": run.n_candidates,
        "seed": run.seed,
    }


class ViT(nn.Module):
    """A vision transformer with norms in front, and the mean of the tokens at the end.

    Dosovitskiy et al. 2021; learned positions, no class token, no dropout.
    """

    def __init__(self, run: Run, size: NetSize, side: int) -> None:
        super().__init__()
        n_tokens = (side // size.patch) ** 2
        self.patches = nn.Conv2d(3, size.width, size.patch, stride=size.patch)
        self.positions = nn.Parameter(torch.randn(1, n_tokens, size.width) * 0.02)
        self.blocks = nn.Sequential(
            *(_Block(run, size, n_tokens) for _ in range(size.depth))
        )
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, N_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of shape (n_images, n_classes)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))


class _Block(nn.Module):
    def __init__(self, run: Run, size: NetSize, n_tokens: int) -> None:
        super().__init__()
        width = size.width
        self.norm, self.mixer = nn.LayerNorm(width), _mixer(run, size, n_tokens)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.mixer(self.norm(tokens))
        return tokens + self.mlp(tokens)


def _mixer(run: Run, size: NetSize, n_tokens: int) -> nn.Module:
    if run.mixer == "convnn":
        return _OverTokens(
            ConvNN1d(
                size.width,
                size.width,
                min(run.n_neighbors, n_tokens),
                compare=run.compared,
                **_candidates(run, n_tokens),
            )
        )
    if run.mixer == "attention":
        return _Attention(size.width, size.heads, batch_first=True)
    return NeighborAttention(size.width, size.heads, min(run.n_neighbors, n_tokens))


class _Attention(nn.MultiheadAttention):
    """PyTorch's attention of tokens to one another."""

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens, tokens, tokens, need_weights=False)[0]


class _OverTokens(nn.Module):
    """A layer on (batch, channels, positions), for (batch, tokens, channels)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layer(tokens.transpose(1, 2)).transpose(1, 2)
