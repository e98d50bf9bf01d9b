"""The pages: every code block and script runs, links hold, the reference is whole."""

import re
import runpy
import tomllib
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.optional import skip_without_torch

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Pages that a build writes are not the source of anything.
BUILT = {"_build", "api", "auto_gallery"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(
        page
        for page in sorted(DOCS.rglob("*.md"))
        if not BUILT & set(page.relative_to(DOCS).parts)
    ),
]
BLOCK = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
# Directives of the pages, and drawings in letters; `bash` is in test_commands.py.
NOT_RUN = {"{eval-rst}", "{toctree}", "{include}", "text", "bash"}
PUBLIC_MODULES = [
    "knngraph",
    "knngraph.baselines",
    "knngraph.datasets",
    "knngraph.distributed",
    "knngraph.inspection",
    "knngraph.torch",
]


def blocks():
    """Every Python block with the name of its page."""
    for page in PAGES:
        found = [
            b for _, kind, b in BLOCK.findall(page.read_text()) if kind == "python"
        ]
        for number, block in enumerate(found):
            name = page.relative_to(ROOT).with_suffix("").as_posix()
            yield pytest.param(block, id=f"{name}-{number}")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder with a set of the publication and a table, for pages that load one."""
    folder = tmp_path_factory.mktemp("sets")
    X = np.random.default_rng(0).integers(0, 2, (72, 320), dtype=np.uint8)
    np.savez(folder / "binalpha.npz", X=X, y=np.arange(72) % 36)
    own = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    own.to_csv(folder / "data.csv", index=False)
    return folder


@pytest.mark.parametrize("block", list(blocks()))
def test_code_blocks_run(block, sets, monkeypatch, capsys):
    skip_without_torch(block)
    monkeypatch.setenv("KNNGRAPH_DATA", str(sets))
    monkeypatch.chdir(sets)
    # Blocks that show a call on the user's own data get some.
    X, y = load_iris(return_X_y=True)
    exec(compile(block, "block", "exec"), {"X": X, "y": y, "Q": X[:5]})


def test_the_first_page_shows_what_its_lines_print(capsys):
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    ((code, shown),) = [
        (code, shown)
        for (_, kind, code), (_, next_kind, shown) in pairwise(blocks)
        if (kind, next_kind) == ("python", "text")
    ]
    assert len([line for line in code.splitlines() if line]) <= 6
    exec(compile(code, "README.md", "exec"), {})
    # Words to the letter; numbers but for what another processor rounds.
    number = re.compile(r"\d+(?:\.\d+)?")
    printed = capsys.readouterr().out
    assert number.sub("#", printed) == number.sub("#", shown)
    there, here = ([float(n) for n in number.findall(s)] for s in (shown, printed))
    np.testing.assert_allclose(here, there, atol=0.02, rtol=0.03)


def test_links_of_the_first_page_work_anywhere():
    """A package index shows the page without the files beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    docs, source = (project["urls"][name] for name in ("Documentation", "Source"))
    raw = source.replace("github.com", "raw.githubusercontent.com") + "/main/"
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    for link in links:
        if link.startswith(docs):
            page = link.removeprefix(docs).partition("#")[0]
            file = DOCS / page.replace(".html", ".md")
            assert file.is_file() or page.startswith("auto_gallery/"), link
        else:
            places = (raw, f"{source}/blob/main/")
            files = [link.removeprefix(p) for p in places if link.startswith(p)]
            assert [file for file in files if (ROOT / file).is_file()], link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_escapes(page):
    text = page.read_text()
    kinds = {kind for _, kind, _ in BLOCK.findall(text)}
    assert kinds <= NOT_RUN | {"python"}
    # Every fence of three belongs to a block, and nothing indented is code.
    assert text.count("```") == 2 * len(BLOCK.findall(text))
    outside = BLOCK.sub("", text)
    assert (
        re.findall(r"^    (?:python|pip|knngraph|import|from) .*", outside, re.M) == []
    )


@pytest.mark.parametrize(
    "script", sorted((DOCS / "pictures").glob("*.py")), ids=lambda path: path.stem
)
def test_pictures_of_the_guide_are_drawn(script):
    skip_without_torch(script.read_text())
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.close("all")  # what blocks of pages drew
    pyplot.switch_backend("Agg")
    runpy.run_path(str(script))
    assert all(axes.has_data() for axes in pyplot.gcf().axes)
    pyplot.close("all")


def test_pages_link_to_files_that_exist():
    link = re.compile(r"\]\((?!https?:)([^)#]+)\)")
    missing = [
        (page.name, target)
        for page in PAGES
        for target in link.findall(page.read_text())
        if "auto_gallery/" not in target and not (page.parent / target).exists()
    ]
    assert missing == []


def test_links_into_the_gallery_name_its_scripts():
    link = re.compile(r"auto_gallery/(plot_\w+)")
    named = {name for page in PAGES for name in link.findall(page.read_text())}
    assert named <= {script.stem for script in (DOCS / "gallery").glob("plot_*.py")}


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_the_reference_lists_every_public_name(module):
    skip_without_torch(module)
    sections = re.split(r"currentmodule:: ", (DOCS / "api.md").read_text())
    listed = {
        name
        for section in sections[1:]
        if section.split()[0] == module or module == "knngraph.baselines"
        for name in re.findall(r"^(?:   |.. py:data:: )(\w+)$", section, re.MULTILINE)
    }
    public = {
        name for name in import_module(module).__all__ if not name.startswith("_")
    }
    assert public <= listed


def test_the_reference_has_a_heading_for_every_group(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    grouped = import_module("parameter_groups").grouped
    plain = [":Parameters:", "", "    **a** : int", "        What.", ""]
    learned = [":Attributes:", "", "    **d** : int", ""]
    assert grouped([*plain, *learned]) == [*plain, *learned]
    others = [":Other Parameters:", "", "    **b** : int", "        Index: width"]
    others += ["        of it.", "", "    **c** : int", "        Graph: more.", ""]
    shown = grouped(["Fits.", "", *plain, *learned, *others])
    assert [line for line in shown if line] == [
        "Fits.",
        ":Parameters for every day:",
        *plain[2:4],
        ":Parameters of the index:",
        "    **b** : int",
        "        Width",
        "        of it.",
        ":Parameters of the published graph:",
        "    **c** : int",
        "        More.",
        ":Attributes:",
        "    **d** : int",
    ]


def test_every_folder_with_public_names_has_its_reference():
    folders = [
        f"knngraph.{path.parent.name}"
        for path in sorted((ROOT / "knngraph").glob("*/__init__.py"))
        if "__all__" in path.read_text()
    ]
    assert set(folders) < set(PUBLIC_MODULES)


def test_contributing_names_every_folder_and_file():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    package = ROOT / "knngraph"
    names = [path.name for path in package.glob("*.py") if path.name[0] != "_"]
    names += [f"{path.parent.name}/" for path in package.glob("*/__init__.py")]
    assert [name for name in names if name not in text] == []
