"""
A branched network, explained by training images
================================================

A small network of branched layers (a part of the channels mixes each position with
the nearest ones by features) learns the digits. Its last features become the rows of a
:class:`~knngraph.KNNGraphClassifier`, which answers about as well as the head of the
network, and shows the training images behind an answer. The answers drawn are those
with the smallest margin.

Run the script with ``KNNGRAPH_DATA`` set to a folder with ``cifar10_small.npz`` (JPEG
files of CIFAR-10) to see it on photographs.
"""

import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from knngraph import KNNGraphClassifier
from knngraph.torch import BranchedConvNN2d, embed


def read_digits():
    X, y = load_digits(return_X_y=True)
    images = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    train, test, y_train, y_test = train_test_split(images, y, random_state=0)
    return train, y_train, test, y_test, [str(digit) for digit in range(10)]


def read_photographs(path):
    from PIL import Image

    stored = np.load(path)
    files = np.split(stored["jpeg"], stored["offsets"][1:-1])
    small = [
        Image.open(io.BytesIO(file.tobytes())).convert("RGB").resize((16, 16))
        for file in files
    ]
    images = np.float32(small).transpose(0, 3, 1, 2) / 255
    y = stored["y"].astype(int)
    names = [str(name) for name in stored["class_names"]]
    n = int(stored["n_train"])  # of which 4000 are enough for a picture
    return images[:4000], y[:4000], images[n:], y[n:], names


photographs = Path(os.environ.get("KNNGRAPH_DATA", "")) / "cifar10_small.npz"
data = read_photographs(photographs) if photographs.is_file() else read_digits()
train, y_train, test, y_test, names = data

torch.manual_seed(0)
channels = train.shape[1]
net = nn.Sequential(
    nn.Conv2d(channels, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    BranchedConvNN2d(16, 32, n_neighbors=9, ratio=0.25),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    BranchedConvNN2d(32, 32, n_neighbors=9, ratio=0.25),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(128, 10),
)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
images, labels = torch.from_numpy(train), torch.from_numpy(y_train)
for _ in range(8):
    for batch in torch.randperm(len(images)).split(64):
        loss = functional.cross_entropy(net(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

rows, queries = embed(net, train), embed(net, test)
classifier = KNNGraphClassifier(
    inference="adaptive", metric="euclidean", random_state=0
).fit(rows, y_train)
with torch.no_grad():
    head = net.eval()(torch.from_numpy(test)).argmax(1).numpy()
print(f"the network's own head   {(head == y_test).mean():.3f}")
print(f"votes of training images {classifier.score(queries, y_test):.3f}")


def draw(axes, image, title):
    image = image.transpose(1, 2, 0)
    axes.imshow(image if channels == 3 else image[..., 0], cmap="gray_r")
    axes.set_title(title, fontsize=8)
    axes.axis("off")


explanations = classifier.explain(queries)
unsure = np.argsort([answer.margin for answer in explanations], kind="stable")[:4]
figure, panels = plt.subplots(4, 5, figsize=(5.6, 5.6), layout="constrained")
for line, query in zip(panels, unsure):
    answer = explanations[query]
    draw(line[0], test[query], f"said {names[answer.predicted]}")
    voters = sorted(answer.voters, key=lambda voter: -voter.weight)[:4]
    for axes in line[1:]:
        axes.axis("off")
    for axes, voter in zip(line[1:], voters):
        title = f"{names[y_train[voter.row]]}: {voter.weight:.2f}"
        draw(axes, train[voter.row], title)
figure.suptitle("left: the query; right: training images, their vote")
plt.show()
