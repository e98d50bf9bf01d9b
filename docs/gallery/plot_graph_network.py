"""
A graph network on the neighbor graph
=====================================

Four labels a digit are known, all other rows are not. A graph convolution mixes every
row with its neighbors, so that labels reach the rows around them. The graph comes as
edges and their lengths; how fast a weight falls with the length is learned with the
rest.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from knngraph.torch import knn_adjacency

X, y = load_digits(return_X_y=True)
x = torch.from_numpy(X).float() / 16
y = torch.from_numpy(y)
torch.manual_seed(0)
known = torch.cat([torch.nonzero(y == digit)[:4, 0] for digit in range(10)])
unknown = torch.ones(len(y), dtype=torch.bool)
unknown[known] = False


class GraphNetwork(nn.Module):
    """Two layers that mix neighbors, with weights exp(-distance / width)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(64, 64), nn.Linear(64, 10)
        self.width = nn.Parameter(torch.tensor(1.0))
        edges, away = knn_adjacency(x, 10, mode="distance", layout="edge_index")
        self.register_buffer("edges", edges)
        self.register_buffer("away", away)

    def mix(self, rows):
        neighbor, row = self.edges
        weights = torch.exp(-self.away / self.width)
        shape = (len(rows), len(rows))
        graph = torch.sparse_coo_tensor(
            torch.stack([row, neighbor]), weights, shape, check_invariants=False
        )
        total = torch.sparse.sum(graph, 1).to_dense()
        return 0.5 * rows + 0.5 * torch.sparse.mm(graph, rows) / total[:, None]

    def forward(self, rows):
        hidden = functional.relu(self.mix(self.first(rows)))
        hidden = functional.dropout(hidden, 0.5, self.training)
        return self.mix(self.mix(self.last(hidden)))


def learn(network):
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, weight_decay=5e-4)
    right = []
    for _ in range(100):
        network.train()
        loss = functional.cross_entropy(network(x)[known], y[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            answers = network.eval()(x).argmax(1)
        right.append((answers == y)[unknown].float().mean().item())
    return right


plain = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
figure, axes = plt.subplots(layout="constrained")
for name, network in {"on the graph": GraphNetwork(), "rows alone": plain}.items():
    right = learn(network)
    axes.plot(right, label=f"{name}: {right[-1]:.3f}")
axes.set(xlabel="step", ylabel="accuracy on rows without label")
axes.legend()
plt.show()
