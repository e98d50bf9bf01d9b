"""What is missing before a tag may be set: `make release-ready TAG=v0.1.0`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def missing(tag: str, root: Path = ROOT) -> list[str]:
    """Say what in a tree does not yet agree with a tag.

    Parameters
    ----------
    tag : str
        As in "v0.1.0".
    root : Path
        The folder of pyproject.toml.

    Returns
    -------
    list of str
        A sentence each; empty where the tag may be set.
    """
    version = read(root / "knngraph" / "_version.py", r'^__version__ = "(.+)"$')
    changelog, date = newest(root)
    cited = read(root / "CITATION.cff", r"^version: (.+)$")
    cited_date = read(root / "CITATION.cff", r"^date-released: (.+)$")
    waiting = len(list((root / "docs" / "changelog.d").glob("+*.md")))
    files = root / "tests" / "serving" / "releases" / version
    found = {
        f"The tag is {tag!r}, the version {version}.": tag == f"v{version}",
        f"{version} is no version of a release.": bool(
            re.fullmatch(r"\d+\.\d+\.\d+", version)
        ),
        f"CHANGELOG.md begins with {changelog}.": changelog == version,
        "CHANGELOG.md has no date for it.": date != "unreleased",
        f"CITATION.cff has version {cited}.": cited == version,
        f"CITATION.cff was released on {cited_date!r}.": cited_date == date,
        f"{waiting} fragments are not in CHANGELOG.md.": waiting == 0,
        f"No saved files of {version} are kept.": files.is_dir(),
    }
    return [sentence for sentence, is_right in found.items() if not is_right]


def newest(root: Path) -> tuple[str, str]:
    """Version and date of the first section of the changelog."""
    heading = read(root / "CHANGELOG.md", r"^## (\S+ \(.+\))$")
    version, _, date = heading.partition(" ")
    return version, date.strip("()")


def read(path: Path, pattern: str) -> str:
    """What the first line of this form says, "" where there is none."""
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


if __name__ == "__main__":
    sentences = missing(sys.argv[1])
    print("\n".join(sentences) or f"{sys.argv[1]} may be set.")
    sys.exit(bool(sentences))
