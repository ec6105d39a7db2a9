"""Base of every page that the package writes: skeleton, style, script, policy, pictures, names.

A page is built of plain values (`Page`, `Section` and blocks) and written by `write_page` as one
HTML file that fetches nothing. Text is escaped in one place, the templates.
"""

from bayesdose.report.page.blocks import (
    Block,
    Column,
    Drawing,
    Facts,
    Formula,
    Notice,
    Page,
    Paragraph,
    Picture,
    Points,
    Section,
    Subheading,
    Table,
)
from bayesdose.report.page.picture import png
from bayesdose.report.page.pseudonyms import Pseudonyms, pseudonyms
from bayesdose.report.page.text import (
    LONGEST,
    between,
    counted,
    number,
    percent,
    sentence,
    shown,
)
from bayesdose.report.page.writing import MAX_BYTES, check_place, render, write_page

__all__ = [
    "LONGEST",
    "MAX_BYTES",
    "Block",
    "Column",
    "Drawing",
    "Facts",
    "Formula",
    "Notice",
    "Page",
    "Paragraph",
    "Picture",
    "Points",
    "Pseudonyms",
    "Section",
    "Subheading",
    "Table",
    "between",
    "check_place",
    "counted",
    "number",
    "percent",
    "png",
    "pseudonyms",
    "render",
    "sentence",
    "shown",
    "write_page",
]
