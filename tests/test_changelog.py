"""Fragments of the changelog are such that towncrier collects all of them."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = {kind["directory"] for kind in SETTINGS["type"]}
FOLDER = ROOT / SETTINGS["directory"]


def wrong(path):
    """What towncrier would not take, or not set well; "" where it would."""
    named = re.fullmatch(r"\+[a-z-]+\.([a-z]+)(\.\d+)?\.md", path.name)
    if not named:
        return "name it +TOPIC.KIND.md"
    if named[1] not in KINDS:
        return f"the kind is none of {sorted(KINDS)}"
    text = path.read_text()
    # towncrier writes the bullet.
    if not text.strip() or text.startswith(("-", "*", "#")):
        return "a sentence or two, without a bullet"
    return ""


def test_fragments_have_a_topic_a_kind_and_a_text():
    # After a release there are none.
    fragments = [path for path in sorted(FOLDER.iterdir()) if path.name != "README.md"]
    assert {path.name: wrong(path) for path in fragments if wrong(path)} == {}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("+topic.added.md", "A sentence.\n", ""),
        ("+two-words.fixed.1.md", "A sentence.\n", ""),
        ("topic.added.md", "A sentence.\n", "name it"),
        ("+topic.new.md", "A sentence.\n", "the kind is none of"),
        ("+topic.added.md", "- A sentence.\n", "without a bullet"),
        ("+topic.added.md", "\n", "without a bullet"),
    ],
)
def test_a_fragment_that_towncrier_would_not_take_is_found(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    found = wrong(tmp_path / name)
    assert said in found
    assert bool(said) == bool(found)


def test_the_changelog_has_the_line_that_towncrier_writes_below():
    assert SETTINGS["start_string"] in (ROOT / SETTINGS["filename"]).read_text()
