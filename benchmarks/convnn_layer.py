"""Time and memory of `ConvNN2d` beside a plain layer with an N x N matrix.

    python -m benchmarks.convnn_layer [--repeats 7] [--write-docs]

Forward and backward of 16 images of 64 channels, K = 9, on one thread: seconds of the
processor, and the peak of resident memory above the start, each in a process of its
own. The plain layer is written from the formulas as the published one computes them:
all similarities at once, and a K-fold copy of the input from which neighbors are
gathered for a convolution with kernel and stride K. Every bound is printed with its
verdict.
"""

import time
from importlib.metadata import version
from typing import Any

from benchmarks.command import parser_of, publish
from benchmarks.isolated import (
    peak_megabytes,
    reset_peak,
    resident_megabytes,
    run_isolated,
)
from benchmarks.pages import DOCS, table

N_IMAGES, N_CHANNELS, K = 16, 64, 9
SIZES = (16, 32)
# Of the time and of the memory of the plain layer.
MOST_TIME, MOST_MEMORY = 0.5, 0.4


_SAMPLE = {"n_candidates": 64}
LAYERS: dict[str, dict[str, Any] | None] = {
    "`nn.Conv2d`, 3 x 3": None,
    "plain layer": None,
    "`ConvNN2d`": {},
    "`ConvNN2d`, Euclidean": {"distance": "euclidean"},
    "`ConvNN2d`, hybrid": {"compare": "hybrid"},
    "`ConvNN2d`, 64 random candidates": {"candidates": "random"} | _SAMPLE,
    "`ConvNN2d`, 8 x 8 candidates": {"candidates": "grid"} | _SAMPLE,
    "`ConvNN2d`, location": {"compare": "location", "padding": 1},
}
_CONVOLUTION, _PLAIN, _OURS = list(LAYERS)[:3]


def measure(name: str, size: int, repeats: int) -> dict[str, float]:
    """Milliseconds and megabytes of one layer, in this process."""
    import torch

    from benchmarks.convnn.plain_layer import PlainConvNN2d
    from knngraph.torch import ConvNN2d

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer: Any
    if name == _CONVOLUTION:
        layer = torch.nn.Conv2d(N_CHANNELS, N_CHANNELS, 3, padding=1)
    elif name == _PLAIN:
        layer = PlainConvNN2d(N_CHANNELS, K)
    else:
        layer = ConvNN2d(N_CHANNELS, N_CHANNELS, K, **(LAYERS[name] or {}))
    # What every layer needs once, such as the code of its operations.
    layer(torch.randn(2, N_CHANNELS, 4, 4, requires_grad=True)).sum().backward()
    x = torch.randn(N_IMAGES, N_CHANNELS, size, size, requires_grad=True)
    grad = torch.randn(N_IMAGES, N_CHANNELS, size, size)
    reset_peak()
    start = resident_megabytes()
    layer(x).backward(grad)
    peak = peak_megabytes() - start
    forward, both = [], []
    for _ in range(repeats):
        x.grad = None
        layer.zero_grad()
        begun = time.process_time()
        y = layer(x)
        forward.append(time.process_time() - begun)
        y.backward(grad)
        both.append(time.process_time() - begun)
    return {"forward": 1e3 * min(forward), "both": 1e3 * min(both), "peak": peak}


def report(found: dict[tuple[str, int], dict[str, float]]) -> tuple[str, list[str]]:
    """The table, and a verdict on every bound."""
    heads = ["layer"]
    for size in SIZES:
        heads += [f"{size} x {size}: forward", "and backward", "peak"]
    rows = []
    for name in LAYERS:
        row = [name]
        for size in SIZES:
            cell = found[name, size]
            row += [f"{cell['forward']:.1f} ms", f"{cell['both']:.1f} ms"]
            row.append(f"{cell['peak']:.0f} MB")
        rows.append(row)
    verdicts = []
    for size in SIZES:
        ours, plain = found[_OURS, size], found[_PLAIN, size]
        for what, part, most in (
            ("both", "time", MOST_TIME),
            ("peak", "peak memory", MOST_MEMORY),
        ):
            share = ours[what] / plain[what]
            verdicts.append(
                f"{size} x {size}, {part}: {100 * share:.0f} % of the plain layer, at "
                f"most {100 * most:.0f} %: {'met' if share <= most else 'MISSED'}"
            )
    return table(heads, rows), verdicts


def main() -> None:
    """Measure once, print, and write where asked to."""
    parser = parser_of(__doc__, folder=False)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    found: dict[tuple[str, int], Any] = {}
    for size in SIZES:
        for name in LAYERS:
            arguments = {"name": name, "size": size, "repeats": options.repeats}
            found[name, size] = run_isolated(
                "benchmarks.convnn_layer:measure", arguments
            )
    text, verdicts = report(found)
    print("\n".join(verdicts))
    text = (
        f"`python -m benchmarks.convnn_layer --write-docs`, torch {version('torch')}, "
        f"B = {N_IMAGES}, C = O = {N_CHANNELS}, K = {K}, one thread, best of "
        f"{options.repeats}, processor time:\n\n{text}"
    )
    publish(text, DOCS / "convnn.md", "convnn-layer", options)


if __name__ == "__main__":
    main()
