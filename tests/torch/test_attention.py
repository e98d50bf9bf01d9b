"""Attention over the nearest tokens: what it is equal to, and in all modes."""

import copy
import math

import pytest
import torch
from torch import nn

from knngraph.torch import NeighborAttention


def attended(layer, x):
    """Attention over the k largest products, by the full matrix."""
    n_heads, k = layer.num_heads, layer.n_neighbors

    def heads(projection):
        return projection(x).unflatten(2, (n_heads, -1)).transpose(1, 2)

    q, key, v = map(heads, (layer.q_proj, layer.k_proj, layer.v_proj))
    scores = q @ key.mT / math.sqrt(q.shape[-1])
    least = scores.topk(k, dim=-1).values[..., -1:]
    shares = scores.masked_fill(scores < least, -math.inf).softmax(-1)
    return layer.out_proj((shares @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("n_heads", [1, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_over_all_tokens_is_attention(numbers, device, n_heads, bias):
    x = numbers(2, 10, 8)
    layer = NeighborAttention(8, n_heads, 10, bias=bias, device=device)
    usual = nn.MultiheadAttention(
        8, n_heads, bias=bias, batch_first=True, device=device
    )
    parts = (layer.q_proj, layer.k_proj, layer.v_proj)
    with torch.no_grad():
        usual.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        usual.out_proj.weight.copy_(layer.out_proj.weight)
    torch.testing.assert_close(layer(x), usual(x, x, x)[0], rtol=0, atol=5e-7)
    torch.testing.assert_close(layer(x[0]), layer(x)[0], rtol=0, atol=5e-7)
    other = numbers(2, 10, 8)
    torch.testing.assert_close(
        layer(x[:, :3], other), usual(x[:, :3], other, other)[0], rtol=0, atol=5e-7
    )


@pytest.mark.parametrize("n_heads", [1, 4])
def test_attention_over_the_largest_products(numbers, device, n_heads):
    x = numbers(2, 30, 8)
    layer = NeighborAttention(8, n_heads, 4, slot_weights=True, device=device)
    torch.testing.assert_close(layer(x), attended(layer, x), rtol=0, atol=1e-6)
    x.requires_grad_()
    weights = torch.randn_like(x)
    of = [x, layer.q_proj.weight, layer.k_proj.weight, layer.v_proj.weight]
    found = torch.autograd.grad((layer(x) * weights).sum(), of)
    expected = torch.autograd.grad((attended(layer, x) * weights).sum(), of)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
    assert layer.neighbors(x).shape == (2, n_heads, 30, 4)
    layer.slot_weight.data.zero_()
    assert torch.equal(layer(x), layer.out_proj(torch.zeros_like(x)))


@pytest.mark.parametrize("distance", ["dot", "cosine", "euclidean"])
@pytest.mark.parametrize(
    "sample", [{}, {"candidates": "random", "n_candidates": 6}], ids=str
)
def test_attention_in_all_modes(numbers, device, distance, sample):
    x = numbers(3, 12, 8)
    layer = NeighborAttention(
        8, 2, 4, distance=distance, **sample, dropout=0.5, device=device
    ).eval()
    y = layer(x)
    assert torch.equal(layer(x), y)
    torch.testing.assert_close(torch.vmap(layer)(x), y)
    with torch.autocast(device, torch.bfloat16):
        torch.testing.assert_close(layer(x).float(), y, rtol=0.3, atol=0.3)
    if sample:
        own = layer.neighbors(x)[..., 0]
        assert torch.equal(own, torch.arange(12, device=device).expand_as(own))
    layer.train()
    assert not torch.equal(layer(x), layer(x))
    if device != "mps":
        wide = copy.deepcopy(layer).double().eval()
        tokens = numbers(1, 7, 8, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(wide, tokens, fast_mode=True, nondet_tol=1e-10)


@pytest.mark.parametrize(
    "sample", [{}, {"candidates": "random", "n_candidates": 6}], ids=str
)
def test_attention_in_graphs(numbers, device, sample):
    torch._dynamo.reset()
    x, longer = numbers(3, 12, 8), numbers(3, 20, 8)
    layer = NeighborAttention(8, 2, 4, **sample, device=device).eval()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    sizes = {"query": {1: torch.export.Dim("tokens", min=7)}}
    exported = torch.export.export(layer, (x,), dynamic_shapes=sizes)
    if hasattr(torch.compiler, "is_exporting"):
        assert "knngraph" not in str(exported.graph)
    for tokens in (x, longer):
        torch.testing.assert_close(compiled(tokens), layer(tokens))
        torch.testing.assert_close(exported.module()(tokens), layer(tokens))


def test_wrong_attention():
    with pytest.raises(ValueError, match="embed_dim=9 is not divisible by num_heads=2"):
        NeighborAttention(9, 2, 3)
    with pytest.raises(ValueError, match="n_candidates=2 is less than n_neighbors=3"):
        NeighborAttention(8, 2, 3, candidates="random", n_candidates=2)
    layer = NeighborAttention(8, 2, 5)
    with pytest.raises(ValueError, match="n_neighbors=5 exceeds the 4 tokens"):
        layer(torch.zeros(1, 4, 8))
    with pytest.raises(ValueError, match="query has the shape"):
        layer(torch.zeros(1, 4, 9))
    assert repr(layer).startswith("NeighborAttention(\n  8, 2, 5\n")
