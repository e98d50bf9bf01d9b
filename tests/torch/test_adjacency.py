"""The neighbor graph as a tensor: the same as that of arrays, and its gradients."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import knngraph
from knngraph.torch import adjacency, knn_adjacency

METRICS = ("euclidean", "cosine")
# Where more rows are equally far than a search among arrays looks at, or where rounding
# decides between equal angles.
TIED = {
    "euclidean": ("whole", "bytes", "constant"),
    "cosine": ("whole", "bytes", "constant", "zeros", "one column"),
}


def drawn(n_rows, n_columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_rows, n_columns, generator=generator, dtype=torch.float64)


def hard_rows():
    """Rows by name: with copies, ties, far from the origin, of extreme sizes."""
    plain = drawn(150, 5)
    whole = torch.randint(0, 3, (150, 6), generator=torch.Generator().manual_seed(1))
    return {
        "plain": plain,
        "single": plain.float(),
        "copies": torch.cat([plain, plain[:40], plain[:40]]),
        "whole": whole.double(),
        "bytes": whole.to(torch.uint8),
        "constant": torch.ones(40, 3, dtype=torch.float64),
        "zeros": torch.cat([torch.zeros(3, 5, dtype=torch.float64), plain]),
        "far": plain * 1e-3 + 1e6,
        "huge": plain * 1e200,
        "tiny": plain * 1e-200,
        "one column": plain[:, :1],
        "wide": drawn(60, 300),
    }


def dense(graph):
    """As a dense array, and as a mask of the entries: distances may be zero."""
    coo = graph.to_sparse_coo().coalesce()
    mask = torch.sparse_coo_tensor(
        coo.indices(), torch.ones_like(coo.values()), coo.shape, check_invariants=True
    )
    return coo.to_dense().numpy(), mask.to_dense().numpy() > 0


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", hard_rows())
def test_equal_to_the_graph_of_arrays(name, metric, symmetric):
    x = hard_rows()[name]
    for mode in ("connectivity", "distance"):
        mine = knn_adjacency(x, 7, metric=metric, mode=mode, symmetric=symmetric)
        other = knngraph.knn_adjacency(
            x.numpy(),
            7,
            metric=metric,
            mode=mode,
            algorithm="exact",
            symmetrize="union" if symmetric else None,
        ).tocoo()
        values, mask = dense(mine)
        if name not in TIED.get(metric, ()):
            expected = np.zeros(mask.shape, dtype=bool)
            expected[other.row, other.col] = True
            assert_array_equal(mask, expected)
        if name not in TIED.get(metric, ()) or not symmetric:
            rtol = 1e-5 if mine.dtype == torch.float32 else 1e-9
            assert_allclose(
                np.sort(values[mask]), np.sort(other.data), rtol=rtol, atol=1e-13
            )


@pytest.mark.parametrize("name", ["copies", "whole", "bytes", "constant", "far"])
def test_ties_go_to_the_lowest_row(name):
    x = hard_rows()[name]
    rows = x.double()
    squared = (rows[:, None] - rows[None]).square().sum(2)
    squared.fill_diagonal_(torch.inf)
    expected = squared.sort(dim=1, stable=True)[1][:, :7].sort(1)[0]
    found = knn_adjacency(x, 7, layout="csr").col_indices().reshape(-1, 7)
    assert torch.equal(found, expected)


def test_ties_by_hand():
    x = torch.tensor([[0.0], [1.0], [-1.0], [1.0], [2.0], [1.0]])
    expected = [[1, 2], [3, 5], [0, 1], [1, 5], [1, 3], [1, 3]]
    for block_size in (None, 1, 4, 6, 100):
        graph = knn_adjacency(x, 2, layout="csr", block_size=block_size)
        assert graph.col_indices().reshape(-1, 2).tolist() == expected
    # Of the rows 1, 3, 5 the first two are listed; of many copies the first.
    copies = knn_adjacency(torch.ones(50, 4), 3, layout="csr")
    columns = copies.col_indices().reshape(-1, 3)
    assert columns[10:].tolist() == [[0, 1, 2]] * 40
    assert columns[:2].tolist() == [[1, 2, 3], [0, 2, 3]]


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_change_nothing(metric, monkeypatch):
    x = torch.cat([drawn(101, 8), drawn(101, 8)[:30]]).float()
    whole = knn_adjacency(x, 6, metric=metric, mode="distance")
    for block_size in (1, 7, 64, 131, 1000):
        parts = knn_adjacency(
            x, 6, metric=metric, mode="distance", block_size=block_size
        )
        assert torch.equal(whole.indices(), parts.indices())
        assert torch.equal(whole.values(), parts.values())
    monkeypatch.setattr(adjacency, "_BLOCK_BYTES", 1)
    parts = knn_adjacency(x, 6, metric=metric, mode="distance")
    assert torch.equal(whole.values(), parts.values())


def test_rows_that_a_product_confuses_are_measured_by_differences(monkeypatch):
    # Two far clusters: within each the product keeps too few digits.
    x = torch.cat([drawn(60, 4) * 1e-7, drawn(60, 4, 1) * 1e-7 + 1e4])
    searched = []
    search = adjacency._by_differences

    def counted(rows, own, n_seen, k):
        searched.extend(own.tolist())
        return search(rows, own, n_seen, k)

    monkeypatch.setattr(adjacency, "_by_differences", counted)
    mine = knn_adjacency(x, 5, layout="csr")
    assert len(searched) > 60
    differences = (x[:, None] - x[None]).square().sum(2)
    differences.fill_diagonal_(torch.inf)
    nearest = differences.sort(dim=1, stable=True)[1][:, :5]
    assert torch.equal(mine.col_indices().reshape(-1, 5), nearest.sort(1)[0])


def test_layouts_hold_the_same_edges():
    x = drawn(30, 3)
    coo, csr = (
        knn_adjacency(x, 4, mode="distance", layout=layout) for layout in ("coo", "csr")
    )
    assert coo.layout == torch.sparse_coo
    assert coo.is_coalesced()
    assert csr.layout == torch.sparse_csr
    assert torch.equal(coo.to_dense(), csr.to_dense())
    for graph in (coo, csr):
        assert graph.shape == (30, 30)
        assert torch.allclose(graph @ x, graph.to_dense() @ x)
    with torch.sparse.check_sparse_tensor_invariants(enable=True):
        torch.sparse_coo_tensor(
            coo.indices(), coo.values(), coo.shape, is_coalesced=True
        )
        torch.sparse_csr_tensor(
            csr.crow_indices(), csr.col_indices(), csr.values(), csr.shape
        )
    (neighbor, row), away = knn_adjacency(x, 4, mode="distance", layout="edge_index")
    assert torch.equal(torch.stack([row, neighbor]), coo.indices())
    assert torch.equal(away, coo.values())


@pytest.mark.parametrize("layout", adjacency.LAYOUTS)
@pytest.mark.parametrize("metric", METRICS)
def test_gradients_of_distances(metric, layout):
    def distances(x):
        graph = knn_adjacency(
            x, 3, metric=metric, mode="distance", symmetric=True, layout=layout
        )
        return graph[1] if layout == "edge_index" else graph.values()

    x = drawn(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(distances, x)
    # Copies have the gradient zero, and what is not asked for has none.
    copies = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    distances(copies).sum().backward()
    assert torch.equal(copies.grad, torch.zeros(4, 2, dtype=torch.float64))
    assert not knn_adjacency(x, 3, metric=metric).requires_grad
    with torch.no_grad():
        assert not distances(x).requires_grad


def test_types_of_values():
    x = drawn(9, 2)
    for given, expected in [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.int64, torch.float32),
        (torch.bool, torch.float32),
    ]:
        for mode in adjacency.MODES:
            assert knn_adjacency(x.to(given), 2, mode=mode).dtype == expected


def test_few_rows():
    x = drawn(4, 2)
    expected = 1 - torch.eye(4, dtype=torch.float64)
    assert torch.equal(knn_adjacency(x, 10).to_dense(), expected)
    for n_rows in (0, 1):
        for layout in ("coo", "csr"):
            for mode in adjacency.MODES:
                graph = knn_adjacency(x[:n_rows], 3, mode=mode, layout=layout)
                assert graph.shape == (n_rows, n_rows)
                assert graph.values().numel() == 0
    assert knn_adjacency(x[:, :0], 1).to_dense().sum() == 4
    assert knn_adjacency(x.T, 1).shape == (2, 2)


@pytest.mark.parametrize(
    ("error", "changed", "says"),
    [
        (TypeError, {"x": np.ones((3, 2))}, "x must be a dense tensor, not ndarray"),
        (ValueError, {"x": torch.ones(3)}, r"\(n_rows, n_features\).*\(3,\)"),
        (ValueError, {"x": torch.ones(3, 2) * 1j}, "real numbers.*complex"),
        (
            ValueError,
            {"x": torch.tensor([[1.0], [float("nan")]])},
            "x has numbers that are not finite, first in row 1",
        ),
        (ValueError, {"n_neighbors": 0}, "n_neighbors must be an integer from 1 on.*0"),
        (ValueError, {"n_neighbors": 2.0}, "n_neighbors .*2.0"),
        (ValueError, {"block_size": 0}, "block_size .*0"),
        (ValueError, {"metric": "l1"}, "metric must be one of .*cosine.*not 'l1'"),
        (ValueError, {"mode": "weights"}, "mode must be one of .*not 'weights'"),
        (ValueError, {"layout": "dense"}, "layout must be one of .*not 'dense'"),
    ],
)
def test_errors_name_the_argument_and_its_value(error, changed, says):
    arguments = {"x": torch.ones(3, 2), "n_neighbors": 1} | changed
    with pytest.raises(error, match=says):
        knn_adjacency(**arguments)
