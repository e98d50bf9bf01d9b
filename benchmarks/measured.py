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
from dataclasses import dataclass
from pathlib import Path

from benchmarks import excerpts

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Page:
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


PAGES = (
    Page(
        "measured.md",
        (
            "benchmarks.accuracy run --data-dir DIR --max-rows 5000",
            "benchmarks.accuracy run --data-dir DIR --max-rows 5000 --noise 0.2",
        ),
        "accuracy.csv",
        "benchmarks.accuracy report --write-docs",
    ),
    Page(
        "fit.md",
        ("benchmarks.foundation --data-dir DIR",),
        "foundation.csv",
        "benchmarks.foundation --report-only --write-docs",
    ),
    Page(
        "readings.md",
        ("benchmarks.readings --data-dir DIR",),
        "readings.csv",
        "benchmarks.readings --report-only --write-docs",
    ),
    Page(
        "baselines.md",
        ("benchmarks.baselines_binalpha --data-dir DIR",),
        "baselines_binalpha.csv",
        "benchmarks.baselines_binalpha --report-only --write-docs",
    ),
    Page(
        "paper.md",
        ("benchmarks.run paper --data-dir DIR",),
        "paper/paper.csv",
        "benchmarks.run paper --data-dir DIR --report-only --write-docs",
    ),
    Page("dask.md", ("benchmarks.cluster --data-dir DIR",)),
    Page("scale.md", ("benchmarks.fit_scale --sizes 100000 1000000 --write-docs",)),
    Page("scale.md", ("benchmarks.compile_time --write-docs",)),
    Page("walks.md", ("benchmarks.walks --data-dir DIR --write-docs",)),
    Page("condensing.md", ("benchmarks.condensing --data-dir DIR --write-docs",)),
    Page("serving.md", ("benchmarks.serving --data-dir DIR --write-docs",)),
    Page("updating.md", ("benchmarks.updating --write-docs",)),
    Page("graph.md", ("benchmarks.fidelity --data-dir DIR --write-docs",)),
    Page("graph.md", ("benchmarks.adjacency --write-docs",)),
    Page("guide/size.md", ("benchmarks.sizes --write-docs",)),
    Page("guide/*.md", ("benchmarks.parameters --max-rows 500 --write-docs",)),
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
