"""Attention of every token over its k best only."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from knngraph.torch.gather import rows_of
from knngraph.torch.neighbors import CANDIDATES, check_count, column_of
from knngraph.torch.positions import Grid, candidate_positions
from knngraph.torch.ranking import nearest

_DISTANCES = ("dot", "cosine", "euclidean")


class NeighborAttention(nn.Module):
    """Multi-head attention over the k nearest tokens of every token.

    For every head, the k keys with the best scores are chosen, and their values are
    averaged with the softmax of these scores: with as many neighbors as tokens this is
    ordinary attention, with fewer it is attention over the k largest products [1]_.

    Parameters
    ----------
    embed_dim : int
    num_heads : int
    n_neighbors : int
        Number K of tokens that a token attends to.
    bias : bool, default=True
        Of the four projections.
    dropout : float, default=0.0
        Of the weights after the softmax.
    distance : {"dot", "cosine", "euclidean"}, default="dot"
        The score: q.k / sqrt(d) in a head of d channels, the cosine, or minus the
        squared Euclidean distance.
    slot_weights : bool, default=False
        Learn a factor for every channel and rank, 1 at first.
    candidates : {"all", "random", "grid"}, default="all"
        Tokens that can be chosen. Of a sample, the token itself comes first, whatever
        its score, then the best others.
    n_candidates : int or None, default=None
    seed : int, default=0
    block_size : int or None, default=None
        As in `ConvNN2d`.

    References
    ----------
    .. [1] P. Wang et al. "KVT: k-NN attention for boosting vision transformers".
       ECCV, 2022.

    Examples
    --------
    >>> import torch
    >>> from knngraph.torch import NeighborAttention
    >>> layer = NeighborAttention(embed_dim=32, num_heads=4, n_neighbors=5)
    >>> layer(torch.randn(2, 10, 32)).shape
    torch.Size([2, 10, 32])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        n_neighbors: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        distance: str = "dot",
        slot_weights: bool = False,
        candidates: str = "all",
        n_candidates: int | None = None,
        seed: int = 0,
        block_size: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("embed_dim", embed_dim)
        check_count("num_heads", num_heads)
        check_count("n_neighbors", n_neighbors)
        if embed_dim % num_heads:
            raise ValueError(
                f"embed_dim={embed_dim} is not divisible by num_heads={num_heads}"
            )
        if distance not in _DISTANCES:
            raise ValueError(f"distance={distance!r} is not one of {_DISTANCES}")
        if candidates not in CANDIDATES:
            raise ValueError(f"candidates={candidates!r} is not one of {CANDIDATES}")
        if (candidates == "all") != (n_candidates is None):
            raise ValueError(
                f"n_candidates={n_candidates} with candidates={candidates!r}: a "
                "number belongs to 'random' and 'grid'"
            )
        if n_candidates is not None and n_candidates < n_neighbors:
            raise ValueError(
                f"n_candidates={n_candidates} is less than n_neighbors={n_neighbors}"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.n_neighbors = n_neighbors
        self.dropout = dropout
        self.distance = distance
        self.candidates = candidates
        self.n_candidates = n_candidates
        self.seed = seed
        self.block_size = block_size
        kwargs: dict[str, Any] = {"device": device, "dtype": dtype}
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **kwargs)
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **kwargs)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **kwargs)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **kwargs)
        self.slot_weight: nn.Parameter | None
        if slot_weights:
            self.slot_weight = nn.Parameter(
                torch.empty(embed_dim, n_neighbors, **kwargs)
            )
        else:
            self.register_parameter("slot_weight", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections as `torch.nn.MultiheadAttention` does."""
        for part in (self.q_proj, self.k_proj, self.v_proj):
            nn.init.xavier_uniform_(part.weight)
        nn.init.kaiming_uniform_(self.out_proj.weight, a=math.sqrt(5))
        for part in (self.q_proj, self.k_proj, self.v_proj, self.out_proj):
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        if self.slot_weight is not None:
            nn.init.ones_(self.slot_weight)

    def forward(
        self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None
    ) -> Tensor:
        """Attend from every query to its nearest keys.

        Parameters
        ----------
        query : Tensor of shape (B, Q, embed_dim), or (Q, embed_dim)
        key : Tensor of shape (B, N, embed_dim), or (N, embed_dim), or None
            None is the query: self-attention.
        value : Tensor of the shape of `key`, or None
            None is the key.

        Returns
        -------
        Tensor of the shape of `query`
        """
        query, key, value, batched = self._batched(query, key, value)
        q = self._heads(self.q_proj(query))
        k = self._heads(self.k_proj(key))
        v = self._heads(self.v_proj(value))
        index = self._choose(q, k, itself=key is query)
        shares = self._scores(q, k, index).softmax(-1)
        shares = functional.dropout(shares, self.dropout, self.training).to(v.dtype)
        rows = rows_of(v, index)
        if self.slot_weight is not None:
            slots = self.slot_weight.to(v.dtype).unflatten(0, (self.num_heads, -1))
            rows = rows.unflatten(0, (-1, self.num_heads)) * slots.mT[:, None]
            rows = rows.flatten(0, 1)
        merged = (shares.unsqueeze(-1) * rows).sum(2)
        merged = merged.unflatten(0, (-1, self.num_heads)).transpose(1, 2).flatten(2)
        y = self.out_proj(merged)
        return y if batched else y.squeeze(0)

    def neighbors(self, query: Tensor, key: Tensor | None = None) -> Tensor:
        """Positions of the tokens that every query attends to, by head.

        Parameters
        ----------
        query, key : Tensor
            As for `forward`.

        Returns
        -------
        Tensor of shape (B, num_heads, Q, K), or (num_heads, Q, K), int64
        """
        query, key, _, batched = self._batched(query, key, None)
        q = self._heads(self.q_proj(query))
        k = self._heads(self.k_proj(key))
        index = self._choose(q, k, itself=key is query)
        index = index.unflatten(0, (-1, self.num_heads))
        return index if batched else index.squeeze(0)

    def _batched(
        self, query: Tensor, key: Tensor | None, value: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, bool]:
        key = query if key is None else key
        value = key if value is None else value
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim not in (2, 3) or x.shape[-1] != self.embed_dim:
                raise ValueError(
                    f"{name} has the shape {tuple(x.shape)}; it must be "
                    f"(B, N, {self.embed_dim}) or (N, {self.embed_dim})"
                )
        if query.ndim == 3:
            return query, key, value, True
        several = query.unsqueeze(0)
        keys = several if key is query else key.unsqueeze(0)
        return several, keys, keys if value is key else value.unsqueeze(0), False

    def _heads(self, x: Tensor) -> Tensor:
        """Tokens of every head as images of their own: (B * heads, N, d)."""
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2).flatten(0, 1)

    def _choose(self, q: Tensor, k: Tensor, *, itself: bool) -> Tensor:
        q, k = q.detach(), k.detach()
        n_tokens = k.shape[1]
        if n_tokens < self.n_neighbors:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} exceeds the {n_tokens} tokens"
            )
        if self.candidates == "all":
            return nearest(
                q,
                k,
                self.n_neighbors,
                distance=self.distance,
                block_size=self.block_size,
            )
        draw: Tensor | int = 0
        if self.training and self.candidates == "random":
            draw = torch.randint(2**31 - 1, (), device=q.device)
        positions = candidate_positions(
            Grid((n_tokens,), (0,), q.device),
            self.candidates,
            self.n_candidates or 0,
            self.seed,
            draw,
        )
        queries = torch.arange(q.shape[1], device=q.device)
        others = nearest(
            q,
            k[:, positions],
            self.n_neighbors - itself,
            distance=self.distance,
            own=column_of(positions, queries) if itself else None,
            block_size=self.block_size,
        )
        index = positions[others]
        if not itself:
            return index
        first = queries[:, None].expand(q.shape[0], -1, 1)
        return torch.cat([first, index], -1)

    def _scores(self, q: Tensor, k: Tensor, index: Tensor) -> Tensor:
        wide = torch.promote_types(q.dtype, torch.float32)
        q, k = q.to(wide), k.to(wide)
        if self.distance == "cosine":
            q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        rows, q = rows_of(k, index), q.unsqueeze(2)
        if self.distance == "euclidean":
            return -(q - rows).square().sum(-1)
        scores = (q * rows).sum(-1)
        return scores / math.sqrt(q.shape[-1]) if self.distance == "dot" else scores

    def extra_repr(self) -> str:
        """Arguments of the constructor that differ from their defaults."""
        parts = [f"{self.embed_dim}, {self.num_heads}, {self.n_neighbors}"]
        shown = {
            "bias": (self.q_proj.bias is not None, True),
            "dropout": (self.dropout, 0.0),
            "distance": (self.distance, "dot"),
            "slot_weights": (self.slot_weight is not None, False),
            "candidates": (self.candidates, "all"),
            "n_candidates": (self.n_candidates, None),
            "seed": (self.seed, 0),
            "block_size": (self.block_size, None),
        }
        parts += [f"{name}={v!r}" for name, (v, usual) in shown.items() if v != usual]
        return ", ".join(parts)
