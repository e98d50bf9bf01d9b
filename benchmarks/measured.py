"""All measured pages, from the CSV files that the benchmarks wrote.

    python -m benchmarks.measured [--measure] [--data-dir DIR]

Without `--measure` nothing is measured: pages whose figures lie in
`benchmarks/results` are written from them, then the excerpts of the README and the
guide. With it every benchmark runs first, one after the other, for hours; those
that keep no file between two runs write their pages while they run.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks import excerpts

RESULTS = Path(__file__).resolve().parent / "results"


class Page(NamedTuple):
    """A page of the documentation, and the commands that measure and write it.

    Parameters
    ----------
    name : str
        Of the page, relative to docs.
    measure : tuple of str
        Arguments of `python -m`, in order; `DIR` stands for the folder of the sets.
        Where there is nothing to write from, they say `--write-docs`.
    results : str, default=""
        File in `benchmarks/results`; empty where nothing is kept.
    write : str, default=""
        Arguments that write the page from that file.
    """

    name: str
    measure: tuple[str, ...]
    results: str = ""
    write: str = ""


_ACCURACY = "benchmarks.accuracy run --data-dir DIR --max-rows 5000"
_FROM_FILE = "--report-only --write-docs"
PAGES = (
    Page(
        "measured.md",
        (_ACCURACY, f"{_ACCURACY} --noise 0.2"),
        "accuracy.csv",
        "benchmarks.accuracy report --write-docs",
    ),
    Page(
        "fit.md",
        ("benchmarks.foundation --data-dir DIR",),
        "foundation.csv",
        f"benchmarks.foundation {_FROM_FILE}",
    ),
    Page(
        "baselines.md",
        ("benchmarks.baselines_binalpha --data-dir DIR",),
        "baselines_binalpha.csv",
        f"benchmarks.baselines_binalpha {_FROM_FILE}",
    ),
    Page(
        "published.md",
        ("benchmarks.run paper --data-dir DIR",),
        "paper/paper.csv",
        f"benchmarks.run paper --data-dir DIR {_FROM_FILE}",
    ),
    Page(
        "convnn-nets.md",
        ("benchmarks.run convnn --data-dir DIR",),
        "convnn/cpu.csv",
        f"benchmarks.run convnn {_FROM_FILE}",
    ),
    Page(
        "scale.md",
        ("benchmarks.fit_scale --again --data-dir DIR",),
        "scale.json",
        f"benchmarks.fit_scale {_FROM_FILE}",
    ),
    Page(
        "scale.md",
        ("benchmarks.lists --data-dir DIR",),
        "scale.json",
        f"benchmarks.lists {_FROM_FILE}",
    ),
    *(
        Page(
            "scale.md",
            (f"benchmarks.engines{part} --data-dir DIR",),
            "engines.json",
            f"benchmarks.engines{part} {_FROM_FILE}",
        )
        for part in ("", " --sets")
    ),
    Page("contributing/dask.md", ("benchmarks.cluster --data-dir DIR",)),
    *(
        Page(name, (f"benchmarks.{arguments} --write-docs",))
        for name, arguments in (
            ("scale.md", "compile_time"),
            ("how/search.md", "walks --data-dir DIR"),
            ("condensing.md", "condensing --data-dir DIR"),
            ("serving.md", "serving --data-dir DIR"),
            ("serving.md", "service"),
            ("updating.md", "updating"),
            ("graph.md", "fidelity --data-dir DIR"),
            ("graph.md", "adjacency"),
            ("convnn.md", "convnn_layer"),
            ("labels.md", "suspects --data-dir DIR"),
            ("explain.md", "relevance"),
            ("sure.md", "prediction_sets --data-dir DIR"),
            ("sure.md", "sure novelty --data-dir DIR"),
            ("sure.md", "sure abstention --data-dir DIR"),
            ("how/maps.md", "maps"),
            ("embeddings.md", "embeddings --data-dir DIR"),
            ("inference.md", "choice_time"),
            ("inference.md", "answers"),
            ("how/size.md", "sizes"),
            ("how/*.md", "parameters --max-rows 500"),
        )
    ),
)


def run(arguments: str, folder: str | None) -> None:
    """Run one command; a failure ends all."""
    if folder is None:
        arguments = arguments.replace(" --data-dir DIR", "")
    arguments = arguments.replace("RESULTS", str(RESULTS))
    words = [folder if word == "DIR" and folder else word for word in arguments.split()]
    print("python -m", *words, flush=True)
    done = subprocess.run([sys.executable, "-m", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Measure where asked, write what can be written, say what cannot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("KNNGRAPH_DATA"))
    parser.add_argument(
        "--measure", action="store_true", help="run the benchmarks first: hours"
    )
    options = parser.parse_args()
    if options.measure and options.data_dir is None:
        parser.error("name the folder of the sets by --data-dir or KNNGRAPH_DATA")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        if options.measure:
            for arguments in page.measure:
                run(arguments, options.data_dir)
        if page.results and (RESULTS / page.results).exists():
            run(page.write, options.data_dir)
        elif not options.measure:
            lacking = f"no {RESULTS.name}/{page.results}; " if page.results else ""
            print(f"docs/{page.name} stays: {lacking}python -m {page.measure[0]}")
    excerpts.write()


if __name__ == "__main__":
    main()
