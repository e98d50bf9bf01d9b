"""Which tests run which lines, and how long each of them takes."""

import ast
import hashlib
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.mutants import FOLDERS, ROOT, Mutant, mutated_files

# Lines that run while a file is loaded or a fixture is set up serve all its tests.
_WHOLE_FILE = "*"


def test_files(folder: str) -> list[str]:
    """The test files of a folder of the package, and its examples."""
    beside = sorted((ROOT / "tests" / folder).glob("test_*.py"))
    files = [path.relative_to(ROOT).as_posix() for path in beside]
    return files + [
        file for file in mutated_files(folder) if ">>> " in (ROOT / file).read_text()
    ]


def digest(*files: str) -> str:
    """The same for the same text."""
    whole = hashlib.sha256()
    for file in files:
        whole.update((ROOT / file).read_bytes())
    return whole.hexdigest()[:16]


class Watch:
    """A plugin of pytest: notes the test that runs beside every line that it runs."""

    def __init__(self) -> None:
        import coverage

        self._coverage = coverage.Coverage(
            data_file=None,
            config_file=False,
            source=[f"knngraph/{folder}" for folder in FOLDERS],
        )
        self._coverage.start()
        self.seconds: dict[str, float] = {}
        self._began = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fixtures that others share are made now."""
        self._began = time.process_time()
        self._coverage.switch_context(_WHOLE_FILE)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """The test itself begins."""
        self._coverage.switch_context(item.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """The test has ended."""
        self._coverage.switch_context(_WHOLE_FILE)
        self.seconds[item.nodeid] = time.process_time() - self._began

    @property
    def node(self) -> str:
        """All of it as text."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            file: data.contexts_by_lineno(str(Path(file).resolve()))
            for folder in FOLDERS
            for file in mutated_files(folder)
        }
        return json.dumps({"seconds": self.seconds, "lines": lines})


@dataclass
class Reach:
    """What some tests run.

    Attributes
    ----------
    seconds : dict
        Processor time of every test.
    lines : dict
        From a file and a line to the tests that run it.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )

    def add(self, found: dict) -> None:
        """Take over what one test file has run."""
        every = set(found["seconds"])
        self.seconds |= found["seconds"]
        for file, lines in found["lines"].items():
            for line, contexts in lines.items():
                for context in contexts:
                    whole = context in (_WHOLE_FILE, "")
                    self.lines[file][int(line)] |= every if whole else {context}

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that run the statement of a mutant, quick files and tests first."""
        first, last = statement_around(mutant)
        lines = self.lines[mutant.file]
        tests = {test for line in range(first, last + 1) for test in lines[line]}
        by_file: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            by_file[test.split("::")[0]].append(test)
        cost = {file: self.cost(tests) for file, tests in by_file.items()}
        return [test for file in sorted(cost, key=cost.get) for test in by_file[file]]

    def cost(self, tests: list[str]) -> float:
        """Processor time of some tests."""
        return sum(self.seconds[test] for test in tests)


@cache
def _statements(file: str) -> list[tuple[int, int]]:
    """First and last lines of all statements, and of the heads of compound ones."""
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            below = getattr(node, "body", None)
            decorators = getattr(node, "decorator_list", [])
            first = min(part.lineno for part in (node, *decorators))
            last = below[0].lineno - 1 if below else node.end_lineno
            found.append((first, max(first, last)))
    return found


def statement_around(mutant: Mutant) -> tuple[int, int]:
    """First and last line of the smallest statement that holds a mutant."""
    around = [
        (last - first, first, last)
        for first, last in _statements(mutant.file)
        if first <= mutant.line <= last
    ]
    if not around:
        return mutant.line, mutant.line
    _, first, last = min(around)
    return first, last
