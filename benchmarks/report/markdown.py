"""A report as Markdown, with its pictures in files beside it."""

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


def as_markdown(report: Report, pictures: str = "figures") -> str:
    """The whole page."""
    return "\n\n".join(_block(block, pictures) for block in report.blocks) + "\n"


def _block(block: Block, pictures: str) -> str:
    if isinstance(block, Heading):
        return "#" * block.level + " " + block.text
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
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
    return cell.replace("|", "\\|")


def _file_names(picture: Picture) -> list[str]:
    if len(picture.svgs) == 1:
        return [f"{picture.name}.svg"]
    return [f"{picture.name}-{i}.svg" for i in range(1, len(picture.svgs) + 1)]
