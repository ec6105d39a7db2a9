"""What a page is made of, as plain values. Text is text: the templates escape it, all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal


@dataclass(frozen=True)
class Paragraph:
    """A paragraph.

    Parameters
    ----------
    text : str
    """

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Points:
    """A list of sentences.

    Parameters
    ----------
    items : sequence of str
    """

    kind: ClassVar[str] = "points"
    items: Sequence[str]


@dataclass(frozen=True)
class Subheading:
    """A heading inside a section.

    Parameters
    ----------
    text : str
    """

    kind: ClassVar[str] = "subheading"
    text: str


@dataclass(frozen=True)
class Notice:
    """A box that says in a word how much it matters.

    Parameters
    ----------
    level : {"good", "note", "caution", "stop"}
        Colour of the box; ``word`` says the same.
    word : str
        One or few words in bold.
    text : str
    """

    kind: ClassVar[str] = "notice"
    level: Literal["good", "note", "caution", "stop"]
    word: str
    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values.

    Parameters
    ----------
    pairs : sequence of tuple of str
        Name and value.
    """

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Formula:
    """Formulas, one a line; ``_{ij}`` sets what it holds as an index.

    Parameters
    ----------
    lines : sequence of str
    """

    kind: ClassVar[str] = "formula"
    lines: Sequence[str]


@dataclass(frozen=True)
class Column:
    """Head of a column.

    Parameters
    ----------
    text : str
    numeric : bool
        Whether its cells stand at the right.
    """

    text: str
    numeric: bool = False


@dataclass(frozen=True)
class Drawing:
    """A picture or other markup that a template of the package draws from values.

    Parameters
    ----------
    template : str
        Path in ``bayesdose/report``, such as ``"model_page/strip.svg"``.
    values : mapping
        What the template is given.
    """

    kind: ClassVar[str] = "drawing"
    template: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table, whose first column names its rows; it scrolls where the screen is narrow.

    Parameters
    ----------
    caption : str
        Unique in the page.
    columns : sequence of Column
    rows : sequence of sequence of str or Drawing
        Cells.
    note : str
        Below the table.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence["str | Drawing"]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture in the page itself; see `bayesdose.report.page.picture.png`.

    Parameters
    ----------
    source : str
        A ``data:`` address.
    width, height : int, px
    alt : str
        What is seen, with numbers.
    caption : str
    """

    kind: ClassVar[str] = "picture"
    source: str
    width: int
    height: int
    alt: str
    caption: str


Block = Paragraph | Points | Subheading | Notice | Facts | Formula | Drawing | Table | Picture


@dataclass(frozen=True)
class Section:
    """A section with its heading.

    Parameters
    ----------
    anchor : str
        Its place, of letters and hyphens.
    heading : str
    blocks : sequence of Block
    """

    anchor: str
    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A page.

    Parameters
    ----------
    title : str
    lead : str
        One sentence below the title.
    sections : sequence of Section
    footer : sequence of str
        Lines at the end.
    contents : bool
        Whether the sections are listed at the top.
    sheet : bool
        Whether it is to fit on one printed page: closer on paper, sections not numbered.
    """

    title: str
    lead: str
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)
    contents: bool = True
    sheet: bool = False
