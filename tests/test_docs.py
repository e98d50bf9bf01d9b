"""Every code block of the README and the docs runs."""

import re
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks():
    """Every Python block with the name of its page."""
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text())):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_code_blocks_run(block, capsys):
    # Blocks that show a call on the user's own data get some.
    X, y = load_iris(return_X_y=True)
    exec(compile(block, "block", "exec"), {"X": X, "y": y, "Q": X[:5]})


def test_pages_link_to_files_that_exist():
    link = re.compile(r"\]\((?!https?:)([^)#]+)\)")
    missing = [
        (page.name, target)
        for page in PAGES
        for target in link.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []
