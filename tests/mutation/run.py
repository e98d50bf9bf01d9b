"""Mutation testing: how many small changes of the source fail a test of its folder.

    python -m tests.mutation.run [--sample 300] [--seed 0] [--jobs 2] [folder ...]

Draws mutants of the pure Python of some folders, and runs for each the tests of its own
folder that run its lines, until one fails. Prints a table by folder and every survivor.
Results stay in `build/mutants`: a run that was stopped goes on, and after a test was
added the survivors are tried again. Mutants that `equal.toml` lists change no result;
they are drawn, and neither tried nor counted.
"""

import argparse
import json
import os
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from tests.mutation.mutants import (
    FOLDERS,
    ROOT,
    Mutant,
    all_mutants,
    drawn,
    mutated_files,
)
from tests.mutation.reach import Reach, Watch, digest, test_files
from tests.mutation.trees import (
    NO_TESTS,
    TIMED_OUT,
    Fork,
    Tree,
    load_other_packages,
    start_tests,
)

KEPT = ROOT / "build" / "mutants"
EQUAL = Path(__file__).parent / "equal.toml"
OUTCOMES = ("killed", "timeout", "elsewhere", "survived", "equal")
T = TypeVar("T")
_LONGEST_FILE = 1800.0
# A mutant may slow the tests that it does not fail, and so may another process.
_PATIENCE, _LEAST_SECONDS = 8.0, 40.0


def equal_mutants() -> list[dict[str, str]]:
    """The list of mutants that change no result, with the reasons."""
    return tomllib.loads(EQUAL.read_text(encoding="utf-8")).get("equal", [])


def reason_of(mutant: Mutant, listed: list[dict[str, str]]) -> str | None:
    """Why a mutant is equal to the original; None if it is not listed."""
    before, after = mutant.change()
    for one in listed:
        if (
            mutant.file == f"knngraph/{one['file']}"
            and before == one["line"]
            and one.get("mutant", after) == after
        ):
            return one["reason"]
    return None


class Results:
    """Outcomes by mutant, kept in a file to which every result is added at once.

    A mutant stays killed while the test file that fails is as it was. One that the
    tests of its own folder leave alive is tried again when there are others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                one = json.loads(line)
                self._found[one["key"]] = one
        self._own = {folder: digest(*test_files(folder)) for folder in FOLDERS}

    def outcome(self, mutant: Mutant) -> str | None:
        """What was found, if it still holds."""
        found = self._found.get(mutant.key())
        if found is None:
            return None
        by, own = found["by"], found["by"] in test_files(mutant.folder)
        if by and (not (ROOT / by).exists() or digest(by) != found["test"]):
            return None
        if not own and found["own"] != self._own[mutant.folder]:
            return None
        return found["outcome"]

    def add(self, mutant: Mutant, outcome: str, by: str = "") -> None:
        """Keep an outcome, and the test file that fails."""
        one = {
            "key": mutant.key(),
            "outcome": outcome,
            "by": by,
            "test": digest(by) if by else "",
            "own": self._own[mutant.folder],
        }
        self._found[mutant.key()] = one
        with self._path.open("a") as file:
            file.write(json.dumps(one) + "\n")


class Runner:
    """Runs tests in some trees at once.

    Parameters
    ----------
    trees : list of Tree
        One for every process.
    """

    def __init__(self, trees: list[Tree]) -> None:
        self._trees = trees

    def run(
        self,
        todo: Iterable[T],
        start: Callable[[Tree, T], Fork],
        end: Callable[[Fork, int, T], None],
    ) -> None:
        """Start each of `todo` in a free tree; hand on how it has ended."""
        waiting, free = iter(todo), list(self._trees)
        running: dict[Fork, T] = {}
        more = True
        while more or running:
            while more and free:
                one = next(waiting, None)
                if one is None:
                    more = False
                else:
                    running[start(free.pop(), one)] = one
            for fork in list(running):
                code = fork.ended()
                if code is not None:
                    end(fork, code, running.pop(fork))
                    free.append(fork.tree)
            time.sleep(0.02)


def reach_of(folder: str, files: list[str], runner: Runner) -> Reach:
    """What the tests of some files run of a folder; kept until one of both changes."""
    sources = mutated_files(folder)
    kept = {file: KEPT / "reach" / f"{digest(file, *sources)}.json" for file in files}
    (KEPT / "reach").mkdir(exist_ok=True)

    def start(tree: Tree, file: str) -> Fork:
        return start_tests(tree, ["--doctest-modules", file], _LONGEST_FILE, Watch)

    def end(fork: Fork, code: int, file: str) -> None:
        if code not in (0, NO_TESTS):
            shown = (fork.tree.path / "output.txt").read_text()
            raise SystemExit(f"{file} fails without any mutant:\n{shown}")
        kept[file].write_text(fork.notes.read_text())

    runner.run([file for file in files if not kept[file].exists()], start, end)
    reach = Reach()
    for path in kept.values():
        reach.add(json.loads(path.read_text()))
    return reach


def try_all(
    mutants: list[Mutant], runner: Runner, results: Results, *, elsewhere: bool = False
) -> None:
    """Run the tests of every mutant that has no result yet.

    Parameters
    ----------
    elsewhere : bool, default=False
        Run the tests of the other folders, for the mutants that are alive.
    """
    outcome, listed = "survived" if elsewhere else None, equal_mutants()
    todo = [
        mutant
        for mutant in mutants
        if results.outcome(mutant) == outcome and not reason_of(mutant, listed)
    ]
    for folder in FOLDERS:
        here = [mutant for mutant in todo if mutant.folder == folder]
        if not here:
            continue
        own = test_files(folder)
        others = [f for g in FOLDERS for f in test_files(g) if g != folder]
        reach = reach_of(folder, others if elsewhere else own, runner)
        started = time.monotonic()

        def start(tree: Tree, mutant: Mutant, reach: Reach = reach) -> Fork:
            tests = reach.tests_of(mutant)
            tree.put(mutant.file, mutant.source())
            seconds = _LEAST_SECONDS + _PATIENCE * reach.cost(tests)
            return start_tests(tree, ["--doctest-modules", *tests], seconds)

        def end(fork: Fork, code: int, mutant: Mutant) -> None:
            fork.tree.restore()
            outcome = {0: "survived", TIMED_OUT: "timeout"}.get(code, "killed")
            by = fork.first_failure().split("::")[0] if outcome == "killed" else ""
            if elsewhere and outcome == "killed":
                outcome = "elsewhere"
            results.add(mutant, outcome, by if (ROOT / by).is_file() else "")
            print(
                f"{time.monotonic() - fork.started:7.1f} s {outcome:<9} "
                f"{mutant.file}:{mutant.line} {by}",
                file=sys.stderr,
                flush=True,
            )

        reached = []
        for mutant in here:
            if reach.tests_of(mutant):
                reached.append(mutant)
            elif not elsewhere:
                results.add(mutant, "survived")
        runner.run(reached, start, end)
        print(
            f"{folder}: {len(here)} in {time.monotonic() - started:.0f} s",
            file=sys.stderr,
        )


def report(mutants: list[Mutant], results: Results) -> str:
    """A table by folder, and the survivors."""
    listed = equal_mutants()
    counts: dict[str, Counter[str]] = {folder: Counter() for folder in FOLDERS}
    alive = []
    for mutant in mutants:
        outcome = results.outcome(mutant)
        if outcome in (None, "survived") and reason_of(mutant, listed):
            outcome = "equal"
        counts[mutant.folder][outcome or "not tried"] += 1
        if outcome == "survived":
            before, after = mutant.change()
            alive.append(
                f"{mutant.file}:{mutant.line} {mutant.operator}\n  - "
                + before.replace("\n", "\n    ")
                + "\n  + "
                + after.replace("\n", "\n    ")
            )
    counts["all"] = sum(counts.values(), Counter())
    lines = [f"{'folder':<12}{''.join(f'{name:>10}' for name in OUTCOMES)}  noticed"]
    for folder, count in counts.items():
        noticed = count["killed"] + count["timeout"]
        counted = noticed + count["elsewhere"] + count["survived"]
        if counted:
            numbers = "".join(f"{count[name]:>10}" for name in OUTCOMES)
            lines.append(f"{folder:<12}{numbers}  {noticed / counted:7.1%}")
    untried = counts["all"]["not tried"]
    if untried:
        lines.append(f"{untried} mutants were not tried")
    return "\n".join([*lines, "", *alive])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", default=[], metavar="folder")
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--elsewhere",
        action="store_true",
        help="run the tests of the other folders for those that are alive",
    )
    parser.add_argument("--report", action="store_true", help="only what was found")
    arguments = parser.parse_args()
    # The sample is one of all folders, of which some may be tried.
    folders = tuple(arguments.folders) or FOLDERS
    sample = drawn(all_mutants(), arguments.sample, arguments.seed)
    mutants = [mutant for mutant in sample if mutant.folder in folders]
    KEPT.mkdir(parents=True, exist_ok=True)
    results = Results(KEPT / "results.jsonl")
    if not arguments.report:
        os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        load_other_packages()
        trees = [Tree(KEPT / f"tree-{number}") for number in range(arguments.jobs)]
        for tree in trees:
            tree.refresh()
        runner = Runner(trees)
        try_all(mutants, runner, results)
        if arguments.elsewhere:
            try_all(mutants, runner, results, elsewhere=True)
    print(f"{len(mutants)} mutants, a sample of seed {arguments.seed}")
    print(report(mutants, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
