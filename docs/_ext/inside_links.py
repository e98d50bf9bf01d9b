"""Every link of the built pages leads to a file and a place that exist."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)
# What the theme and the search bring along is not written here.
_FOREIGN = {"_static", "_sources", "_downloads"}


class Page(HTMLParser):
    """Where a page leads, and the places in it that others may lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value is not None:
                self.targets.append(value)


def broken_links(folder: Path) -> Iterator[tuple[str, str]]:
    """Page and target of every link that leads nowhere in the folder."""
    pages = {
        path.resolve(): Page(path)
        for path in sorted(folder.rglob("*.html"))
        if not _FOREIGN & set(path.relative_to(folder).parts)
    }
    for path, page in pages.items():
        for target in page.targets:
            address, place = urldefrag(target)
            # Addresses of other sites and data in the page itself.
            if urlsplit(address).scheme or address.startswith("//"):
                continue
            to = (path.parent / unquote(urlsplit(address).path)).resolve()
            to = path if not address else to
            there = pages.get(to)
            lacks_place = (
                place and there is not None and unquote(place) not in there.places
            )
            if not to.is_file() or lacks_place:
                yield path.relative_to(folder.resolve()).as_posix(), target


def check(app: Any, error: Exception | None) -> None:
    """Warn of broken links when HTML has been written."""
    if error is None and app.builder.name == "html":
        for page, target in broken_links(Path(app.outdir)):
            logger.warning("%s links to %s, which does not exist", page, target)


def setup(app: Any) -> dict[str, bool]:
    """Check when the build is done; a warning is an error of `make docs`."""
    # Last, when other extensions have written their files too.
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
