"""The page in Chromium: what a reader does with it by hand and by keyboard, on paper, on a telephone and in the dark.

Skipped where there is no Chromium or no playwright (CONTRIBUTING.md says how to have them).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.findings import FINDING_OUTCOMES, Finding
from audit.report import as_html
from audit.summary import Summary
from tests.audit.report.fleet import findings
from tests.audit.report.test_page import HOSTILE, bad

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: see CONTRIBUTING.md")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: see CONTRIBUTING.md")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: see CONTRIBUTING.md")

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WAYS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 780}},
    "narrow and dark": {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark"},
    "contrast": {"forced_colors": "active"},
}
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as some:
        browser = some.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Open a page of bytes; at the end, nothing was said on the console, asked of anybody, or shown as a dialog."""
    contexts: list[Any] = []
    said: list[str] = []

    def open_page(page: bytes, quiet: bool = True, **options: Any) -> Any:
        file = tmp_path / f"report{len(contexts)}.html"
        file.write_bytes(page)
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        tab = context.new_page()

        def asked(request: Any) -> None:
            if request.url.partition("#")[0] != file.as_uri() and not request.url.startswith("data:,"):
                said.append(f"request: {request.url}")

        def interrupted(dialog: Any) -> None:
            said.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        tab.on("dialog", interrupted)
        if quiet:
            tab.on("console", lambda message: said.append(f"console: {message.text}"))
            tab.on("pageerror", lambda error: said.append(f"error: {error}"))
            tab.on("request", asked)
        tab.goto(file.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture(scope="module")
def some() -> list[Finding]:
    return findings(120, 1200)


@pytest.fixture(scope="module")
def page(some: list[Finding]) -> bytes:
    return as_html(Summary.of(some), "a file")


def shown(tab: Any) -> list[str]:
    """The names of the workloads that can be seen."""
    names: list[str] = tab.evaluate(
        "[...document.querySelectorAll('.entry > summary b')].filter((b) => b.checkVisibility())"
        ".map((b) => b.textContent)"
    )
    return names


def tells(tab: Any, number: int, of: int = 120) -> None:
    """It says soon that so many workloads are shown."""
    told = f"{number:,} workloads" if number == of else f"{number:,} of {of:,} workloads shown"
    playwright.expect(tab.locator("#shown")).to_have_text(told)


@pytest.mark.parametrize("way", WAYS)
def test_everybody_can_read_it(opened: Open, some: list[Finding], way: str) -> None:
    """axe finds nothing, closed and with an entry of each outcome open; nothing sticks out at the side."""
    few = [one for outcome in FINDING_OUTCOMES for one in [each for each in some if each.outcome == outcome][:4]]
    tab = opened(as_html(Summary.of(few), "a file"), **WAYS[way])
    for again in (False, True):
        if again:
            tab.locator('.group[data-o="unchanged"] > summary').click()
            for group in tab.locator(".group").all():
                group.locator(".entry > summary").first.click()
        results = axe.Axe().run(tab)
        faults = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in results.response["violations"]]
        assert faults == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= tab.viewport_size["width"]


def test_it_has_landmarks_and_an_outline(opened: Open, page: bytes) -> None:
    tree = opened(page).locator("body").aria_snapshot()
    for line in ("- banner:", "- main:", "- contentinfo:", "- heading /Not ready to enforce/ [level=2]", "- region"):
        found = line.replace("/Not ready to enforce/", '"Not ready to enforce"')
        assert found in tree, tree[:2000]


def test_it_is_filtered_by_lists(opened: Open, page: bytes, some: list[Finding]) -> None:
    tab = opened(page)
    tells(tab, 120)
    tab.select_option("select[name=outcome]", "changed")
    tab.select_option("select[name=namespace]", label="payments")
    mine = [one for one in some if (one.outcome, one.workload.namespace) == ("changed", "payments")]
    tells(tab, len(mine))
    assert sorted(shown(tab)) == sorted(f"payments/{one.workload.name}" for one in mine)
    tab.locator("button[type=reset]").click()
    tells(tab, 120)
    for name, label, among in (
        ("policy", "memory-class", lambda one: "memory-class" in one.effect.involved),
        ("pool", "memory", lambda one: "memory" in (*one.effect.pools.after, *one.placed)),
    ):
        tab.select_option(f"select[name={name}]", label=label)
        tells(tab, sum(map(among, some)))
        tab.locator("button[type=reset]").click()
        tells(tab, 120)


def test_it_is_filtered_by_words_that_may_stand_in_the_details(opened: Open, page: bytes, some: list[Finding]) -> None:
    tab = opened(page)
    tab.fill("input[name=text]", "SWITCHED off June payments/")
    mine = [one for one in some if one.workload.namespace == "payments" and "switched" in one.effect.reason]
    tells(tab, len(mine))
    assert sorted(shown(tab)) == sorted(f"payments/{one.workload.name}" for one in mine)
    tab.fill("input[name=text]", "no such words anywhere")
    tells(tab, 0)
    assert shown(tab) == []
    tab.keyboard.press("Escape")
    tells(tab, 120)


def test_a_click_above_finds_the_workloads_below(opened: Open, page: bytes, some: list[Finding]) -> None:
    tab = opened(page)
    tab.locator('a[data-pick="namespace"]', has_text="payments-batch").click()
    mine = [one for one in some if one.workload.namespace == "payments-batch"]
    tells(tab, len(mine))
    tab.locator('.verdict a[data-value="unchanged"]').click()
    tells(tab, sum(one.outcome == "unchanged" for one in some))
    assert tab.locator('.group[data-o="unchanged"]').get_attribute("open") is not None


def test_keys_go_from_workload_to_workload(opened: Open, page: bytes) -> None:
    tab = opened(page)
    first, second = (tab.locator(".entry > summary").nth(number) for number in (0, 1))
    first.focus()
    tab.keyboard.press("ArrowDown")
    assert second.evaluate("element => element === document.activeElement")
    assert second.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert second.locator("xpath=..").get_attribute("open") is not None
    assert tab.locator(".entry[open] .finding p").first.is_visible()
    tab.keyboard.press("ArrowUp")
    assert first.evaluate("element => element === document.activeElement")


def test_all_of_it_is_reached_by_tab(opened: Open, page: bytes) -> None:
    tab = opened(page)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the workloads"
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.name") == "text"


def test_what_is_shown_is_opened_and_closed_together(opened: Open, page: bytes) -> None:
    tab = opened(page)
    tab.select_option("select[name=outcome]", "denied")
    playwright.expect(tab.locator("#shown")).to_contain_text("of")
    tab.locator("#open").click()
    assert tab.locator(".entry[open]").count() == len(shown(tab)) > 0
    tab.locator("#close").click()
    assert tab.locator(".entry[open]").count() == 0


@pytest.mark.parametrize("script", [True, False])
def test_on_paper_is_all_that_matters(opened: Open, page: bytes, script: bool) -> None:
    tab = opened(page, java_script_enabled=script)
    tab.emulate_media(media="print", color_scheme="dark")
    assert tab.locator("body").evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.locator("#filter").is_visible()
    for outcome, visible in (("denied", True), ("unschedulable", True), ("changed", False)):
        entry = tab.locator(f'.group[data-o="{outcome}"] .entry').first
        assert entry.locator("summary").is_visible()
        assert entry.locator(".finding").first.is_visible() is visible
    assert not tab.locator('.group[data-o="unchanged"] .entry').first.is_visible()
    assert tab.pdf()[:5] == b"%PDF-"


def test_without_scripts_it_says_the_same_but_for_the_filter(opened: Open, page: bytes) -> None:
    tab = opened(page, java_script_enabled=False)
    assert not tab.locator("#filter").is_visible()
    assert tab.locator(".verdict h2").is_visible()
    tab.locator(".entry > summary").first.click()
    assert tab.locator(".entry .finding").first.is_visible()


def test_hostile_findings_run_nothing_and_reach_nobody(opened: Open, some: list[Finding]) -> None:
    """Each text that an author of pods chooses, in every way in which the page shows it."""
    found = [bad(one, text) for one, text in zip(some, HOSTILE * 12, strict=True)]
    tab = opened(as_html(Summary.of(found), HOSTILE[0]))
    assert tab.evaluate("document.scripts.length") == 1
    assert tab.locator(".entry").count() == len({one.workload for one in found})
    tab.locator('.group[data-o="unchanged"] > summary').click()
    tab.locator("#open").click()
    tab.fill("input[name=text]", "onerror=alert")
    playwright.expect(tab.locator("#shown")).to_contain_text("of")
    assert shown(tab)
    for link in tab.locator("a[data-pick]").all()[:6]:
        link.click()
    assert tab.evaluate("document.images.length") == 0


def sent_to(server: socket.socket) -> Iterator[bytes]:
    """What was sent on each connection; Chromium makes one for a frame that it then refuses, and sends nothing."""
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(0.5)
                try:
                    yield connection.recv(4096)
                except TimeoutError:
                    yield b""


def test_even_markup_that_got_in_would_run_nothing(opened: Open, page: bytes) -> None:
    """The page's policy holds where escaping would not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"http://127.0.0.1:{server.getsockname()[1]}/"
        markup = (
            "<script>window.ran = 1</script><img src='x:' onerror='window.ran = 1'><style>body{display:none}</style>"
            f"<img src='{there}'><iframe src='{there}'></iframe><base href='{there}'><script src='{there}'></script>"
            f"<link rel=stylesheet href='{there}'><p style='position:fixed' id=in>in</p>"
        )
        tab = opened(page.replace(b"<main>", markup.encode() + b"<main>"), quiet=False)
        assert tab.evaluate("window.ran") is None
        assert tab.locator("main").is_visible()
        assert tab.locator("#in").evaluate("element => getComputedStyle(element).position") == "static"
        assert tab.evaluate("document.baseURI").startswith("file:")
        assert [each for each in sent_to(server) if each] == []


def test_a_whole_fleet_opens(opened: Open) -> None:
    tab = opened(as_html(Summary.of(findings()), "context prod-eu-1"))
    tells(tab, 1500, 1500)
    tab.fill("input[name=text]", "karpenter.sh/nodepool")
    playwright.expect(tab.locator("#shown")).to_contain_text("of 1,500")
    assert len(shown(tab)) > 500
