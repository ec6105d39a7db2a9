"""Look at a page in headless Chromium: console, layout at a width, accessibility by axe-core."""

import hashlib
import html
import json
import re
import shutil
import subprocess
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

_REPORT = """
const say = (found) => parent.postMessage(JSON.stringify(found), "*");
const names = performance.getEntriesByType("resource").map((entry) => entry.name);
const found = {
  width: document.documentElement.clientWidth,
  window: innerWidth,
  needed: document.documentElement.scrollWidth,
  fetched: names.filter((name) => !name.startsWith("data:")),
  title: document.title,
};
axe.run(document, {resultTypes: ["violations"]}).then((result) => {
  found.violations = result.violations.map(
    (one) => [one.id, one.help, ...one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))]);
  found.passed = result.passes.map((one) => one.id);
  say(found);
}, (error) => say({...found, violations: [["axe failed", String(error)]], passed: []}));
"""
_OUTER = """<!doctype html><title>phone</title><body>
<iframe src="inner.html" style="width:{width}px;height:900px;border:0"></iframe>
<script>addEventListener("message", (event) => {{
  const found = document.createElement("pre");
  found.id = "found";
  found.textContent = event.data;
  document.body.append(found);
}});</script>"""


def console(page: Path) -> list[str]:
    """Lines that a page, its policy in force and the network cut off, writes to the console."""
    done = _run(page, "--enable-logging=stderr", "--v=0")
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look(page: Path, width: int, folder: Path) -> dict[str, Any]:
    """Width that a page needs, what it fetched, and what axe-core finds, at a width.

    A window of Chromium is never narrower than 500 px, so the page is shown in a frame.
    """
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    content = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", _text(page))
    safe = axe.replace("</script", "<\\/script")
    added = f"<script>{safe}</script><script>{_REPORT}</script></body>"
    (folder / "inner.html").write_text(content.replace("</body>", added), encoding="utf-8")
    outer = folder / "outer.html"
    outer.write_text(_OUTER.format(width=width), encoding="utf-8")
    return _found(_run(outer, "--window-size=1400,1000").stdout)


def act(page: Path, script: str, folder: Path) -> dict[str, Any]:
    """What a script, which must put an object into `found`, sees of a page under its own policy."""
    script = (
        f"const found = {{}};{script};const pre = document.createElement('pre');"
        "pre.id = 'found';pre.textContent = JSON.stringify(found);document.body.append(pre);"
    )
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = _text(page).replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ", 1)
    copy = folder / "acting.html"
    copy.write_text(allowed.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    return _found(_run(copy).stdout)


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _found(dom: str) -> dict[str, Any]:
    shown = re.search(r'<pre id="found">(.*?)</pre>', dom, flags=re.S)
    assert shown, dom[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(shown.group(1)))
    return found


def _run(page: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=20000",
        *options,
        "--dump-dom",
        page.absolute().as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
