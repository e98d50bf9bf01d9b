"""The pages: every code block and script runs, links hold, the reference is whole."""

import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

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
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks():
    """Every Python block with the name of its page."""
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text())):
            name = page.relative_to(ROOT).with_suffix("").as_posix()
            yield pytest.param(block, id=f"{name}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_code_blocks_run(block, capsys):
    # Blocks that show a call on the user's own data get some.
    X, y = load_iris(return_X_y=True)
    exec(compile(block, "block", "exec"), {"X": X, "y": y, "Q": X[:5]})


@pytest.mark.parametrize(
    "script", sorted((DOCS / "pictures").glob("*.py")), ids=lambda path: path.stem
)
def test_pictures_of_the_guide_are_drawn(script):
    pyplot = pytest.importorskip("matplotlib.pyplot")
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


@pytest.mark.parametrize(
    "module", ["knngraph", "knngraph.inspection", "knngraph.baselines"]
)
def test_the_reference_lists_every_public_name(module):
    listed = set(re.findall(r"^   (\w+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
    public = {
        name for name in import_module(module).__all__ if not name.startswith("_")
    }
    assert public <= listed


def test_the_readme_repeats_the_measured_page():
    marked = re.search(
        r"<!-- measured: begin -->\n(.*?)<!-- measured: end -->",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    measured = (DOCS / "measured.md").read_text()
    rows = [line.split("|")[1:3] for line in marked.group(1).splitlines()[2:]]
    assert rows
    for name, accuracy in rows:
        said = re.findall(
            rf"^\|\s*{re.escape(name.strip())}\s*\|\s*([\d.]+)", measured, re.M
        )
        assert any(abs(float(figure) - float(accuracy)) <= 0.0501 for figure in said), (
            name
        )
