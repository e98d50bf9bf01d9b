"""A report in Markdown, its pictures, and one HTML page of both.

Text may carry `code` and **bold**; bold is kept for what a test says. The HTML page
is rendered from the Markdown, with the pictures inside, and needs nothing else.
"""

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import on_paper
from benchmarks.pages import DOCS, put_between, table
from knngraph.html_page import html_page


class Report:
    """Blocks of Markdown in order, and the pictures that they show.

    Parameters
    ----------
    title : str
    pictures : str, default="figures"
        Folder of the pictures, relative to the page.
    """

    def __init__(self, title: str, pictures: str = "figures") -> None:
        self.title, self.folder = title, pictures
        self.blocks = [f"# {_escaped(title)}"]
        self.svgs: dict[str, str] = {}

    def add(self, *paragraphs: str) -> None:
        """Append running text; a line that begins with ## is a heading."""
        self.blocks += map(_escaped, paragraphs)

    def add_list(self, items: Iterable[str]) -> None:
        """Append a list."""
        self.add("\n".join(f"- {item}" for item in items))

    def add_table(
        self, heads: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = ""
    ) -> None:
        """Append a table; the first column names the rows."""
        cells = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
        self.add(*filter(None, [caption, table(heads, cells)]))

    def add_pictures(self, name: str, svgs: Sequence[str], caption: str) -> None:
        """Append a row of pictures with one caption, which says what they show.

        `name` begins the names of their files; in a drawing `currentColor` is ink.
        """
        names = [f"{name}-{i}.svg" for i in range(1, len(svgs) + 1)]
        names = names if len(svgs) > 1 else [f"{name}.svg"]
        self.svgs |= dict(zip(names, svgs))
        images = [f"![{caption}]({self.folder}/{file})" for file in names]
        self.blocks.append("\n".join([*images, "", f"*{caption}*"]))

    def markdown(self) -> str:
        """The whole page."""
        return "\n\n".join(self.blocks) + "\n"

    def html(self) -> str:
        """The whole page in one file, light and dark."""
        from markdown_it import MarkdownIt

        reader = MarkdownIt("commonmark", {"html": False}).enable("table")
        body = reader.render(self.markdown())
        for file, svg in self.svgs.items():
            body = re.sub(
                rf'<img src="{self.folder}/{re.escape(file)}"[^>]*>',
                lambda _, file=file, svg=svg: _inside(svg, Path(file).stem),
                body,
            )
        return html_page(self.title, [body])

    def write(self, path: Path) -> list[Path]:
        """Write the page as Markdown and as HTML beside it; return both paths."""
        folder = path.parent / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        for file, svg in self.svgs.items():
            (folder / file).write_text(on_paper(svg), encoding="utf-8")
        path.write_text(self.markdown(), encoding="utf-8")
        page = path.with_suffix(".html")
        page.write_text(self.html(), encoding="utf-8")
        return [path, page]


def finish(report: Report, results: Path, page: Path) -> None:
    """Write the pages of a report, and say where they and the results are."""
    written = [results, *report.write(page)]
    print("Written:", *map(str, written), sep="\n  ")


def copy_to_docs(page: Path, name: str, pictures: str, mark: str = "") -> None:
    """Copy a written page and its pictures to the documentation, and list it.

    Parameters
    ----------
    page : Path
    name : str
        File name in the documentation.
    pictures : str
        Pattern of the names of its pictures.
    mark : str, default=""
        Marks of that file between which the report goes, as a part of a page with
        text of its own; without them the report is the page.
    """
    folder = DOCS / "figures"
    folder.mkdir(exist_ok=True)
    for picture in folder.glob(pictures):
        picture.unlink()
    for picture in sorted((page.parent / "figures").glob(pictures)):
        shutil.copy(picture, folder)
    if mark:
        put_between(DOCS / name, mark, as_part(page.read_text(encoding="utf-8")))
        return
    list_page(DOCS / "results.md", Path(name).stem)
    shutil.copy(page, DOCS / name)


def as_part(page: str) -> str:
    """A page without its title, its headings one level down."""
    return re.sub(r"^#(?=#+ )", "##", page.partition("\n")[2], flags=re.MULTILINE)


def list_page(contents: Path, name: str) -> None:
    """Add a page to a table of contents, before its last line, unless it is there."""
    text = contents.read_text(encoding="utf-8")
    head, _, listed = text.rpartition("```{toctree}")
    lines = listed.splitlines()
    if name not in lines:
        lines.insert(lines.index("```") - 1, name)
        text = head + "```{toctree}" + "\n".join(lines) + "\n"
        contents.write_text(text, encoding="utf-8")


def _escaped(text: str) -> str:
    """Keep a single star, as in `k*tree`, from slanting what follows."""
    return re.sub(r"(?<!\*)\*(?!\*)", r"\\*", text)


def _inside(svg: str, prefix: str) -> str:
    """A drawing for a page: names inside it count for the whole page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return svg.replace('xlink:href="#', f'xlink:href="#{prefix}-')
