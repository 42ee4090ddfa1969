"""Takes the pictures of the audit's page that `docs/` shows, anew, of the cluster that the page's tests have.

`python -m tools.pictures`; needs Chromium and playwright (`make browser`). Look at them before they are committed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit import as_html

TARGET = Path(__file__).resolve().parent.parent / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu"]
WIDTH = 1180

Take = Callable[[Any], None]


def top(tab: Any) -> None:
    """How a page begins."""
    tab.screenshot(path=TARGET / "report-top.png")


def flow(tab: Any) -> None:
    """What moves where, down to what the colours mean."""
    first, last = (tab.locator(f"section[aria-labelledby=pools] {what}").bounding_box() for what in ("h2", ".courses"))
    above, below = first["y"] - 12, last["y"] + last["height"] + 12
    clip = {"x": 0, "y": above, "width": WIDTH, "height": below - above}
    tab.screenshot(path=TARGET / "report-flow.png", clip=clip, full_page=True)


def workload(tab: Any) -> None:
    """One workload among those that are looked for, opened."""
    tab.select_option("select[name=outcome]", "changed")
    tab.select_option("select[name=namespace]", label="search")
    tab.wait_for_function("document.querySelector('#shown').textContent.includes(' of ')")
    tab.evaluate(
        "[...document.querySelectorAll('.entry > summary')].filter((one) => one.checkVisibility())[1].click();"
        "document.querySelector('#findings').scrollIntoView()"
    )
    tab.screenshot(path=TARGET / "report-workload.png")


PICTURES: tuple[tuple[Take, int, str], ...] = ((top, 900, "light"), (flow, 900, "light"), (workload, 980, "dark"))
"""What is taken, how high a window it takes, and in which colours."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    from playwright.sync_api import sync_playwright  # only this needs it, and a cluster that tests have

    from tests.audit.report.fleet import summary

    page = as_html(summary(), "context prod-eu-1")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as some:
        file = Path(folder) / "report.html"
        file.write_bytes(page)
        browser = some.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for take, height, colours in PICTURES:
            options = {"viewport": {"width": WIDTH, "height": height}, "color_scheme": colours}
            tab = browser.new_context(**options, reduced_motion="reduce").new_page()
            tab.goto(file.as_uri())
            take(tab)
        browser.close()


if __name__ == "__main__":
    main()
