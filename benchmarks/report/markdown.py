"""A report as Markdown, with its pictures in files beside it."""

import re
import shutil
from pathlib import Path

from benchmarks.report.blocks import (
    Block,
    Bullets,
    Cell,
    Heading,
    Paragraph,
    Picture,
    Report,
    Table,
)
from benchmarks.report.figures import on_white

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def write_markdown(report: Report, path: Path, pictures: str = "figures") -> None:
    """Write the page, and its pictures to a folder beside it.

    Parameters
    ----------
    report : Report
    path : Path
    pictures : str, default="figures"
        Folder of the pictures, relative to the page.
    """
    folder = path.parent / pictures
    folder.mkdir(parents=True, exist_ok=True)
    for block in report.blocks:
        if isinstance(block, Picture):
            for name, svg in zip(_file_names(block), block.svgs):
                (folder / name).write_text(on_white(svg), encoding="utf-8")
    path.write_text(as_markdown(report, pictures), encoding="utf-8")


def copy_to_docs(page: Path, name: str, pictures: str) -> Path:
    """Copy a written page and its pictures to the documentation, and list it.

    Parameters
    ----------
    page : Path
    name : str
        File name in the documentation.
    pictures : str
        Pattern of the names of its pictures.

    Returns
    -------
    Path
        The copy.
    """
    folder = DOCS / "figures"
    folder.mkdir(exist_ok=True)
    for picture in folder.glob(pictures):
        picture.unlink()
    for picture in sorted((page.parent / "figures").glob(pictures)):
        shutil.copy(picture, folder)
    list_page(DOCS / "results.md", Path(name).stem)
    return Path(shutil.copy(page, DOCS / name))


def list_page(contents: Path, name: str) -> None:
    """Add a page to a table of contents, before its last line, unless it is there."""
    text = contents.read_text(encoding="utf-8")
    head, _, listed = text.rpartition("```{toctree}")
    lines = listed.splitlines()
    if name not in lines:
        lines.insert(lines.index("```") - 1, name)
        text = head + "```{toctree}" + "\n".join(lines) + "\n"
        contents.write_text(text, encoding="utf-8")


def as_markdown(report: Report, pictures: str = "figures") -> str:
    """The whole page."""
    return "\n\n".join(_block(block, pictures) for block in report.blocks) + "\n"


def _block(block: Block, pictures: str) -> str:
    if isinstance(block, Heading):
        return "#" * block.level + " " + _inline(block.text)
    if isinstance(block, Paragraph):
        return _inline(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_inline(item)}" for item in block.items)
    if isinstance(block, Picture):
        images = [f"![{block.caption}]({pictures}/{n})" for n in _file_names(block)]
        return "\n".join([*images, "", f"*{block.caption}*"])
    return _table(block)


def _table(table: Table) -> str:
    lines = [_line(table.header), "|" + "---|" * len(table.header)]
    lines += [_line(row) for row in table.rows]
    return "\n".join(([table.caption, ""] if table.caption else []) + lines)


def _line(cells: object) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, Cell):
        cell = f"{cell.text} ({cell.note})" if cell.note else cell.text
    return _inline(cell).replace("|", "\\|")


def _inline(text: str) -> str:
    """Keep a single star, as in `k*tree`, from slanting what follows."""
    return re.sub(r"(?<!\*)\*(?!\*)", r"\\*", text)


def _file_names(picture: Picture) -> list[str]:
    if len(picture.svgs) == 1:
        return [f"{picture.name}.svg"]
    return [f"{picture.name}-{i}.svg" for i in range(1, len(picture.svgs) + 1)]
