"""What a report is made of, told to Markdown and to HTML alike.

Text may carry `code`, **bold** and nothing else. Bold is kept for what a test says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Cell:
    """A cell with a second, smaller line."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A row of pictures with one caption.

    Parameters
    ----------
    name : str
        Start of the names of the files.
    svgs : sequence of str
        Whole SVG documents in which `currentColor` is the ink.
    caption : str
        What the picture shows, for those who do not see it as well.
    """

    name: str
    svgs: Sequence[str]
    caption: str


Block = Heading | Paragraph | Bullets | Table | Picture


@dataclass
class Report:
    """Blocks in order."""

    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> None:
        """Append blocks."""
        self.blocks.extend(blocks)

    @property
    def title(self) -> str:
        """Text of the first heading."""
        return next(b.text for b in self.blocks if isinstance(b, Heading))
