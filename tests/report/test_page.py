"""The base of every page: text is text, nothing is fetched, and it can be read by anyone."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayesdose
from bayesdose.errors import ConfigError
from bayesdose.report import page as base
from bayesdose.report.page import (
    Column,
    Drawing,
    Facts,
    Formula,
    Notice,
    Page,
    Paragraph,
    Points,
    Section,
    Subheading,
    Table,
    between,
    number,
    percent,
    pseudonyms,
    render,
    shown,
    write_page,
)
from tests.report import browser, structure

EVIL = "</td></style><script>document.title='evil'</script><img src=x onerror=alert(1)>\"'&{{7*7}}"
STYLE = Path(bayesdose.__file__).parent.joinpath("report/page/style.css").read_text("utf-8")


def a_page(word: str = "kidney", measured: str = "7", **changed: object) -> Page:
    figure = Figure(figsize=(8, 3))
    axes = figure.add_subplot()
    axes.plot([1, 2, 3])
    strip = Drawing(
        "model_page/strip.svg", {"lower": "1", "upper": "9", "median": "5", "measured": measured}
    )
    blocks = [
        Paragraph(word),
        Points([word, "two"]),
        Subheading(f"About {word}"),
        *(Notice(level, level, word) for level in ("good", "note", "caution", "stop")),
        Facts([(word, word)]),
        Formula([f"log(D_{{ij}}) = β_{{1}} · {word}"]),
        Table(f"Doses of {word}", [Column("Site"), Column(word, True), Column("Drawn")],
              [(word, "1", strip), ("b", word, "–")], word),
        base.png(axes, alt=f"A line of {word}", caption=word),
    ]  # fmt: skip
    sections = [Section("one", f"One {word}", blocks), Section("two", "Two", [Paragraph("x")])]
    return Page(word, word, sections, (word,), **changed)


def test_a_page_keeps_the_rules() -> None:
    page = structure.check(render(a_page()))
    assert page.findtext(".//sub") == "ij"
    assert [link.get("href") for link in page.iter("a")] == ["#main", "#one", "#two"]
    assert not list(structure.check(render(a_page(contents=False))).iter("nav"))


def test_text_is_text_wherever_it_stands() -> None:
    page = structure.check(render(a_page(EVIL, EVIL)))
    assert page.findtext(".//title") == EVIL
    assert page.findtext(".//main//p") == EVIL
    assert page.find(".//img").get("alt") == f"A line of {EVIL}"
    assert page.xpath("//svg//line[@class='measured']")[0].get("x1") == EVIL
    assert len(list(page.iter("script"))) == 1


def test_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesdose.report.page.writing.MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="show fewer patients"):
        render(a_page())


def test_places_are_checked(tmp_path: Path) -> None:
    for name, why in (("a.txt", "ends in .html"), ("no/a.html", "no folder")):
        with pytest.raises(ConfigError, match=why):
            write_page(a_page(), tmp_path / name)
    (tmp_path / "b.html").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        write_page(a_page(), tmp_path / "b.html")
    assert write_page(a_page(), tmp_path / "c.html").read_text("utf-8").endswith("</html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.html", "c.html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3.7312, "3.73"),
        (12.34, "12.3"),
        (1234.5, "1234"),
        (0.05432, "0.0543"),
        (0.001234, "0.00123"),
        (-0.5, "−0.500"),
        (2.5e7, "2.50e+07"),
        (1e-5, "1.00e−05"),
        (np.nan, "–"),
        (-np.inf, "−∞"),
    ],
)
def test_numbers_are_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_intervals_and_shares() -> None:
    assert between(0.5, 12) == "0.500 to 12.0"
    assert percent(0.954) == "95 %"
    assert percent(float("nan")) == "–"


def test_labels_are_cut_and_have_no_hidden_letters() -> None:
    assert shown("x" * 10**6) == "x" * 59 + "…"
    assert shown("P\x00\u202eab\u200b") == "P��ab�"
    assert shown("two\nlines") == "two lines"


def test_pseudonyms_follow_first_appearance() -> None:
    frame = pd.DataFrame(
        {
            "patient_id": ["b", "b", "a", "b"],
            "site_id": ["R1", "R2", "R1", "K"],
            "tissue": ["tumour", "tumour", "salivary_gland", "kidney"],
        }
    )
    names = pseudonyms(frame)
    assert [names.patient(label) for label in "ab"] == ["Patient 2", "Patient 1"]
    assert names.site("b", "R2") == "tumour 2"
    assert list(names.table(frame)["site_id"]) == [
        "tumour 1",
        "tumour 2",
        "salivary gland 1",
        "kidney 1",
    ]
    assert pseudonyms(frame, identifiers=True).site("b", "R2") == "R2"
    assert pseudonyms(frame, word="New patient").patient("b") == "New patient 1"


def test_pseudonyms_of_a_patient_are_never_alike() -> None:
    tissue = ["a" * 70, "a" * 71, "salivary_gland", "salivary gland"]
    frame = pd.DataFrame({"patient_id": "P", "site_id": list("abcd"), "tissue": tissue})
    assert len(set(pseudonyms(frame).sites.values())) == 4


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    part = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_text_is_legible_on_every_background() -> None:
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", STYLE))
    rules = STYLE[STYLE.index("}") :]
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb|hsl", rules), "colours have names"
    texts = set(re.findall(r"(?<![-\w])color: var\(--([a-z-]+)\)", rules))
    texts |= set(re.findall(r"text[^{]*\{ fill: var\(--([a-z-]+)\)", rules)) | {"ink"}
    papers = set(re.findall(r"background: var\(--([a-z-]+)\)", rules))
    assert len(texts) >= 6
    assert len(papers) >= 5
    for text, paper in product(texts, papers):
        assert contrast(colours[text], colours[paper]) >= 4.5, (text, paper)
    lines = set(re.findall(r"stroke: var\(--([a-z-]+)\)", rules)) - {"line", "paper"}
    for name in lines:  # what carries meaning, on white
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_paper_and_phones_have_rules() -> None:
    assert "@media print" in STYLE
    assert "size: A4" in STYLE
    assert "break-inside: avoid" in STYLE
    assert ":focus-visible" in STYLE


@browser.needs_chromium
@pytest.mark.parametrize("width", [1280, 360])
def test_pages_are_accessible(width: int, tmp_path: Path) -> None:
    page = write_page(a_page(EVIL), tmp_path / "page.html")
    found = browser.look(page, width, tmp_path)
    assert found["violations"] == []
    assert {"color-contrast", "document-title", "image-alt"} <= set(found["passed"])
    assert found["needed"] <= found["width"]
    assert found["window"] == width
    assert found["fetched"] == []
    assert found["title"] == EVIL


@browser.needs_chromium
def test_the_checker_finds_what_is_wrong(tmp_path: Path) -> None:
    page = write_page(a_page(), tmp_path / "page.html")
    text = page.read_text("utf-8").replace("--quiet: #4a5866", "--quiet: #c0c0c0")
    page.write_text(text.replace(' lang="en"', ""), "utf-8")
    found = browser.look(page, 360, tmp_path)
    assert {"color-contrast", "html-has-lang"} <= {one[0] for one in found["violations"]}


@browser.needs_chromium
def test_nothing_is_said_on_the_console_unless_the_policy_is_broken(tmp_path: Path) -> None:
    page = write_page(a_page(EVIL), tmp_path / "page.html")
    assert browser.console(page) == []
    broken = '<script>document.title = "run"</script><img src="https://example.org/a.png"></body>'
    page.write_text(page.read_text("utf-8").replace("</body>", broken), "utf-8")
    said = "\n".join(browser.console(page))
    assert "script-src" in said
    assert "img-src" in said
