"""Which nets are trained: runs, recipes, and the presets for a CPU and for a GPU.

Nothing here needs torch. Published settings are those of the poster "Convolutional
Nearest Neighbors" (Kang and Sales Rocha Neto, Bowdoin College; arXiv 2511.14137).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple

RATIOS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
FEW_RATIOS = (0.0, 0.25, 0.5, 1.0)
# What is compared, and what is gathered: the poster's Tables 1 to 3.
MODES = (("features", "features"), ("hybrid", "features"), ("hybrid", "hybrid"))
# A maximum over 2 x 2 positions, among the widths of the convolutions.
POOL = 0


@dataclass(frozen=True)
class Run:
    """One net to train; its fields name its rows in the file of figures.

    Parameters
    ----------
    net : {"vgg", "vit"}
    mixer : str
        Of a VGG `branched`, or `plain` for convolutions without the 1 x 1 after them;
        of a ViT `attention`, `top-k attention` or `convnn`.
    ratio : float, default=0.0
        Share of the output channels that convolve over chosen neighbors.
    compared, gathered : {"features", "hybrid"}
    n_neighbors : int, default=9
        0 is all tokens.
    candidates : {"all", "random", "grid"}
    n_candidates : int, default=0
        Their number; 0 is all.
    recipe : str
        Name among the recipes of the preset.
    precision : {"", "float32", "bfloat16"}
        Of products of matrices; weights and scores are float32. Empty is that of the
        command.
    seed : int
        Of the weights, the order of the rows, and which rows train.
    """

    net: str = "vgg"
    mixer: str = "branched"
    ratio: float = 0.0
    compared: str = "features"
    gathered: str = "features"
    n_neighbors: int = 9
    candidates: str = "all"
    n_candidates: int = 0
    recipe: str = "low rate"
    precision: str = ""
    seed: int = 0

    def key(self) -> tuple[str, ...]:
        """Values of the fields as they stand in the file."""
        return tuple(str(value) for value in asdict(self).values())


KEY = tuple(one.name for one in fields(Run))


@dataclass(frozen=True)
class Recipe:
    """How a net is trained, by AdamW.

    Parameters
    ----------
    rate, decay : float
        Learning rate and weight decay.
    epochs : int
    batch : int
        Rows a step; what is left over in an epoch waits for another one.
    schedule : {"step", "one cycle"}
        `step` takes 0.95 of the rate after every second epoch; `one cycle` rises to
        the rate over 0.3 of the steps and falls to nothing (Smith and Topin 2018).
    clip : float, default=0.0
        Longest gradient; 0 leaves gradients as they are.
    """

    rate: float
    decay: float
    epochs: int
    batch: int
    schedule: str = "step"
    clip: float = 0.0


@dataclass(frozen=True)
class NetSize:
    """Sizes of the two nets.

    Parameters
    ----------
    channels : tuple of int
        Widths of the convolutions of the VGG; 0 is a pooling by 2 x 2.
    pooled : int
        Side of the maps in front of the head.
    hidden : int
        Width of the two hidden layers of the head.
    patch, width, depth, heads : int
        Of the ViT.
    """

    channels: tuple[int, ...]
    pooled: int
    hidden: int
    patch: int
    width: int
    depth: int
    heads: int

    def scaled(self, factor: float) -> "NetSize":
        """The same net with its widths times a factor, of 8 at least."""
        if factor == 1.0:
            return self

        def times(width: int) -> int:
            return max(8, round(width * factor / 8) * 8) if width else POOL

        return replace(
            self,
            channels=tuple(map(times, self.channels)),
            hidden=times(self.hidden),
            width=times(self.width) // self.heads * self.heads,
        )


@dataclass(frozen=True)
class Preset:
    """What is trained on what, how, and which runs come first.

    Parameters
    ----------
    data : {"sample", "cifar10"}
    side : int
        Of the images, which are averaged down to it.
    n_train, n_test : int
        Rows at most; 0 takes all.
    size : NetSize
    recipes : dict of str to Recipe
        By name; the first is that of the tables of ratios.
    parts : dict of str to list of Run
        Questions in order of importance, the runs of each without their seeds.
    seeds : int
        The first round of seeds answers every question, further ones sharpen it.
    evaluate_every : int
        Epochs between two looks at the test rows; the last epoch has one always.
    """

    data: str
    side: int
    n_train: int
    n_test: int
    size: NetSize
    recipes: dict[str, Recipe]
    parts: dict[str, list[Run]] = field(repr=False)
    seeds: int = 3
    evaluate_every: int = 1

    def runs(
        self, parts: Sequence[str], seeds: Sequence[int], precision: str
    ) -> list[Run]:
        """Distinct runs in order: all parts with the first seed, then the next.

        Parameters
        ----------
        parts : sequence of str
        seeds : sequence of int
        precision : str
            Of the runs that name none.
        """
        found = (
            replace(run, seed=seed, precision=run.precision or precision)
            for seed in seeds
            for part in parts
            for run in self.parts[part]
        )
        return list(dict.fromkeys(found))


class Job(NamedTuple):
    """A run with all that it needs; what goes to a worker.

    Parameters
    ----------
    run : Run
    recipe : Recipe
    size : NetSize
    data : {"sample", "cifar10"}
    folder : Path or None
    side, n_train, n_test : int
        0 rows are all rows.
    evaluate_every : int
    device : str
    deadline : float
        Seconds since the epoch after which nothing goes on; infinity without one.
    """

    run: Run
    recipe: Recipe
    size: NetSize
    data: str
    folder: Path | None
    side: int
    n_train: int
    n_test: int
    evaluate_every: int
    device: str
    deadline: float = math.inf


def ratio_runs(recipe: str, ratios: Sequence[float]) -> Iterator[Run]:
    """Nets of every ratio and mode; without neighbors the mode says nothing."""
    for ratio in ratios:
        for compared, gathered in MODES if ratio else MODES[:1]:
            yield Run(ratio=ratio, compared=compared, gathered=gathered, recipe=recipe)


def rate_runs(recipe: str) -> Iterator[Run]:
    """Few ratios by another recipe, and the convolution without a 1 x 1 after it."""
    for ratio in FEW_RATIOS:
        yield Run(ratio=ratio, recipe=recipe)
    yield Run(mixer="plain", recipe=recipe)


def control_runs(recipe: str) -> Iterator[Run]:
    """One neighbor, the position itself: its half is a 1 x 1 convolution."""
    for ratio in (0.25, 0.5):
        for compared, gathered in (MODES[0], MODES[-1]):
            for n_neighbors in (1, 9):
                # Which comparison does not matter where the position alone is chosen.
                yield Run(
                    ratio=ratio,
                    compared="features" if n_neighbors == 1 else compared,
                    gathered=gathered,
                    n_neighbors=n_neighbors,
                    recipe=recipe,
                )
    yield Run(mixer="plain", recipe=recipe)


def candidate_runs(recipe: str, sides: Sequence[int]) -> Iterator[Run]:
    """Random and grid candidates over their number, as on the poster's figure."""
    own = Run(ratio=0.25, compared="hybrid", gathered="hybrid", recipe=recipe)
    yield own
    for side in sides:
        for candidates in ("random", "grid"):
            yield replace(own, candidates=candidates, n_candidates=side**2)


def vit_runs(recipe: str, few: Sequence[int]) -> Iterator[Run]:
    """Attention, attention among the best K, and ConvNN, in a small ViT."""
    own = Run(net="vit", recipe=recipe)
    yield replace(own, mixer="attention", n_neighbors=0)
    yield replace(own, mixer="top-k attention")
    yield replace(own, mixer="convnn")
    for number in few:
        yield replace(own, mixer="convnn", candidates="random", n_candidates=number)
    yield replace(own, mixer="convnn", n_neighbors=1)


# VGG-11 (Simonyan and Zisserman 2015) with the poster's widths of its head: 130 M
# parameters with the 1 x 1 convolutions of branching. The ViT is of DeiT-Tiny's width
# and depth (Touvron et al. 2021), with patches for images of 32 x 32.
VGG11 = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
FULL = NetSize(VGG11, pooled=7, hidden=4096, patch=4, width=192, depth=12, heads=3)
SMALL = NetSize(
    (16, POOL, 32, POOL, 64, 64, POOL),
    pooled=2,
    hidden=256,
    patch=2,
    width=48,
    depth=3,
    heads=1,
)

PRESETS = {
    "cpu": Preset(
        data="sample",
        side=16,
        n_train=2000,
        n_test=2000,
        size=SMALL,
        recipes={
            "low rate": Recipe(3e-4, 1e-6, 12, 32),
            "good rate": Recipe(1e-3, 0.01, 12, 32, "one cycle", clip=1.0),
            "vit": Recipe(2e-3, 0.01, 12, 32, "one cycle", clip=1.0),
        },
        parts={
            "ratios": list(ratio_runs("low rate", RATIOS)),
            "control": list(control_runs("low rate")),
            "rates": list(rate_runs("good rate")),
            "candidates": list(candidate_runs("low rate", (4, 6, 8))),
            "vit": list(vit_runs("vit", (16, 32))),
        },
        evaluate_every=12,
    ),
    "full": Preset(
        data="cifar10",
        side=32,
        n_train=0,
        n_test=0,
        size=FULL,
        recipes={
            "poster": Recipe(1e-5, 1e-6, 60, 256),
            "good rate": Recipe(5e-4, 0.01, 60, 256, "one cycle", clip=1.0),
            "vit": Recipe(1e-3, 0.05, 60, 256, "one cycle", clip=1.0),
        },
        parts={
            "few": [
                Run(ratio=ratio, recipe=recipe)
                for ratio in FEW_RATIOS
                for recipe in ("poster", "good rate")
            ],
            "hybrid": [
                Run(ratio=ratio, compared="hybrid", gathered="hybrid", recipe="poster")
                for ratio in FEW_RATIOS[1:]
            ],
            "precision": [
                Run(ratio=ratio, recipe="good rate", precision="float32")
                for ratio in (0.0, 0.25)
            ],
            "control": list(control_runs("poster")),
            "rates": list(rate_runs("good rate")),
            "vit": list(vit_runs("vit", (16, 32))),
            "candidates": list(candidate_runs("poster", (4, 8, 16, 24))),
            "ratios": list(ratio_runs("poster", RATIOS)),
        },
        evaluate_every=5,
    ),
}
