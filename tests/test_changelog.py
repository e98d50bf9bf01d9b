"""Fragments of the changelog are such that towncrier collects all of them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = {kind["directory"] for kind in SETTINGS["type"]}
FOLDER = ROOT / SETTINGS["directory"]
FRAGMENTS = [path for path in sorted(FOLDER.iterdir()) if path.name != "README.md"]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_has_a_topic_a_kind_and_a_text(path):
    named = re.fullmatch(r"\+[a-z-]+\.([a-z]+)(\.\d+)?\.md", path.name)
    assert named, "name it +TOPIC.KIND.md"
    assert named[1] in KINDS
    text = path.read_text()
    assert text.strip()
    # towncrier writes the bullet, and lines without a blank one between them.
    assert not text.startswith(("-", "*", "#"))


def test_the_changelog_has_the_line_that_towncrier_writes_below():
    assert SETTINGS["start_string"] in (ROOT / SETTINGS["filename"]).read_text()
