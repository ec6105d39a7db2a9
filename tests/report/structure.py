"""Rules that every page of the package keeps, checked on the text of the page."""

import hashlib
import re
from base64 import b64encode
from itertools import pairwise

from lxml import etree, html


def parsed(text: str) -> html.HtmlElement:
    return html.document_fromstring(text, parser=html.HTMLParser(encoding="utf-8"))


def check(text: str) -> html.HtmlElement:
    """Check a page and return its tree."""
    page = parsed(text)
    assert text.startswith("<!doctype html>")
    assert page.get("lang") == "en"
    assert len(page.findall(".//h1")) == 1
    _check_headings(page)
    for landmark in ("header", "main", "footer"):
        assert len(page.findall(f".//{landmark}")) == 1
    ids = [node.get("id") for node in page.iter() if isinstance(node.tag, str) and node.get("id")]
    assert len(ids) == len(set(ids))
    for link in page.iter("a"):
        assert link.get("href")[1:] in ids
    for name in ("aria-labelledby", "for"):
        for node in page.xpath(f"//*[@{name}]"):
            assert node.get(name) in ids
    for table in page.iter("table"):
        assert table.find("caption").text_content().strip()
        assert all(head.get("scope") == "col" for head in table.findall("thead//th"))
        assert all(row.find("th").get("scope") == "row" for row in table.findall("tbody/tr"))
        assert table.getparent().get("tabindex") == "0"
    captions = [caption.text_content() for caption in page.iter("caption")]
    assert len(captions) == len(set(captions))
    assert all((picture.get("alt") or "").strip() for picture in page.iter("img"))
    _check_nothing_runs_or_loads(page, text)
    return page


def _check_headings(page: html.HtmlElement) -> None:
    levels = [int(node.tag[1]) for node in page.iter("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def _check_nothing_runs_or_loads(page: html.HtmlElement, text: str) -> None:
    policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (node,) = list(page.iter(tag))
        digest = hashlib.sha256(node.text.encode()).digest()
        assert rules[f"{tag}-src"] == f"'sha256-{b64encode(digest).decode()}'"
        assert not re.search(r"url\(|@import|https?:|fetch\(|innerHTML|eval\(", node.text)
    for node in page.iter(etree.Element):
        for name, value in node.attrib.items():
            assert not name.startswith("on"), name
            assert name != "style"
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("data:", "#")), value
    assert not {"iframe", "object", "embed", "form", "base"} & {n.tag for n in page.iter()}
