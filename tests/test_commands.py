"""Commands on the pages: what they name exists, and they know their options."""

import contextlib
import io
import re
import runpy
import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

from benchmarks.measured import PAGES as MEASURED_PAGES
from knngraph.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docs" / "guide").glob("*.md"),
    *(ROOT / "docs" / "how").glob("*.md"),
    *(ROOT / "docs" / "contributing").glob("*.md"),
]
SHELL = re.compile(r"```bash\n(.*?)```", re.DOTALL)
SPAN = re.compile(r"(?<!`)`((?:python -m|knngraph|make|pytest|pip) [^`]+)`")
# Commands of other programs, which this project neither has nor changes.
OTHERS = ("apt-get ", "git clone ", "cd ", "python -m build")


def commands():
    """Every command of a page, one line each."""
    for page in PAGES:
        text = page.read_text()
        lines = [
            line.split("  #")[0].strip()
            for block in SHELL.findall(text)
            for line in block.splitlines()
        ]
        lines += [" ".join(span.split()) for span in SPAN.findall(text)]
        for line in lines:
            for command in line.split(" && "):
                if command and not command.startswith(OTHERS):
                    yield pytest.param(command, id=f"{page.stem}: {command}")
    for measured in MEASURED_PAGES:
        for arguments in (*measured.measure, measured.write):
            if arguments:
                command = f"python -m {arguments}"
                yield pytest.param(command, id=f"measured, {measured.name}: {command}")


def help_of(module: str, subcommands: list[str], monkeypatch) -> str:
    """What a command of a module says of its options."""
    said = io.StringIO()
    monkeypatch.setattr(sys, "argv", [module, *subcommands, "--help"])
    home = "knngraph.__main__" if module == "knngraph" else module
    # A module that another one has imported is run afresh all the same.
    monkeypatch.delitem(sys.modules, home, raising=False)
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as left:
        runpy.run_module(home, run_name="__main__")
    assert left.value.code == 0
    return said.getvalue()


def check_options(module: str, words: list[str], monkeypatch) -> None:
    """Every option is one that the command names in its help."""
    first_option = next((i for i, w in enumerate(words) if w[0] == "-"), len(words))
    subcommands = [w for w in words[:first_option] if re.fullmatch("[a-z]+", w)]
    options = {word for word in words if word.startswith("--")}
    said = help_of(module, subcommands, monkeypatch)
    assert options <= set(re.findall(r"--[a-z][a-z-]*", said))


@pytest.mark.parametrize("command", list(commands()))
def test_commands_are_there(command, monkeypatch):
    words = shlex.split(command)
    if words[:2] == ["python", "-m"] and words[2] == "pip":
        words = words[2:]
    if words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        named = re.findall(r"\[([\w,]+)\]", command)
        assert {e for group in named for e in group.split(",")} <= set(extras)
    elif words[0] == "make":
        targets = re.findall(
            r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
        assert words[1] in targets
    elif words[0] == "pytest":
        assert all((ROOT / path).exists() for path in words[1:])
    elif words[0] == "knngraph":
        check_options("knngraph", words[1:], monkeypatch)
    else:
        assert words[:2] == ["python", "-m"]
        assert find_spec(words[2]) is not None
        check_options(words[2], words[3:], monkeypatch)


def test_the_comparison_of_the_page_runs(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "compare.md").read_text()
    command = next(
        line
        for block in SHELL.findall(page)
        for line in block.splitlines()
        if line.startswith("knngraph compare")
    )
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    frame.to_csv(tmp_path / "data.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(command)[1:], "--quick", "--folds", "2"]) == 0
    assert "<html" in (tmp_path / "report.html").read_text()


def test_marked_pages_are_written_by_the_command_for_all_of_them():
    marked = {
        page.relative_to(ROOT / "docs").as_posix()
        for page in PAGES
        if "begin -->" in page.read_text() and ROOT / "docs" in page.parents
    }
    named = {measured.name for measured in MEASURED_PAGES}
    # Of the parameters of all stages, and excerpts of other pages.
    of_stages = {page for page in marked if page.startswith("how/")}
    assert marked - of_stages - {"guide/choose.md", "inference.md"} <= named
