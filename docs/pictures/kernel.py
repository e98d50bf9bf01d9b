"""The composite kernel by distance, for equal and for different labels."""

import matplotlib.pyplot as plt
import numpy as np

distance = np.linspace(0, 4, 200)
gaussian = np.exp(-(distance**2) / 2)
figure, axes = plt.subplots()
for number, weight in enumerate((0.0, 0.3, 0.6)):
    for agreement, style in ((1.0, "-"), (0.1, "--")):
        axes.plot(
            distance,
            (1 - weight) * gaussian + weight * agreement,
            style,
            color=f"C{number}",
            label=f"label_weight={weight}" if agreement == 1.0 else None,
        )
axes.plot([], [], "k-", label="same class")
axes.plot([], [], "k--", label="another class")
axes.set(xlabel="distance in units of the bandwidth", ylabel="similarity")
axes.legend()
figure.tight_layout()
