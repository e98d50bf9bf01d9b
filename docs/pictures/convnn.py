"""Positions that are compared and chosen, for three positions of one image."""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_sample_image

from knngraph.torch import neighbor_indices

height, width, n_neighbors = 32, 48, 9
image = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1) / 255
image = torch.nn.functional.interpolate(
    image[None], (height, width), mode="area", antialias=False
)
shown = [(15, 26), (4, 40), (27, 8)]
figure, panels = plt.subplots(3, 1, figsize=(5.2, 10.6), layout="constrained")
for axes, compare in zip(panels, ("features", "hybrid", "location")):
    index = neighbor_indices(image, n_neighbors, compare=compare, distance="euclidean")[
        0
    ]
    axes.imshow(image[0].permute(1, 2, 0).numpy(), interpolation="nearest")
    for (row, column), color in zip(shown, ("white", "cyan", "yellow")):
        chosen = index[row * width + column].numpy()
        axes.scatter(
            chosen % width,
            chosen // width,
            s=26,
            marker="s",
            facecolors="none",
            edgecolors=color,
            linewidths=1.3,
        )
        axes.scatter(column, row, s=16, color=color)
    axes.set(title=f'compare="{compare}"', xticks=[], yticks=[])
