"""The report in a real headless Chromium: no errors, no requests, sorting, phones, dark mode, print."""

import os
import re
import shutil
from pathlib import Path

import pytest

from geolip_theorems.compare.judging import compare
from geolip_theorems.compare.pairing import Side
from geolip_theorems.report.html.comparing import write_comparison
from geolip_theorems.results import companion

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOW = (
    "a browser test of the report needs {}; on Debian or Ubuntu `apt-get install chromium`, and in the "
    "virtual environment `pip install playwright` (no browser download), see .ci/run"
)
playwright = pytest.importorskip("playwright.sync_api", reason=HOW.format("the playwright package"))

FLAGS = [
    "--headless",
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}
LEAST_CONTRAST = 4.5  # WCAG 2.2, level AA, text of ordinary size


@pytest.fixture(scope="module")
def browser():
    if FOUND is None:
        # CI says "required" once it has installed one: then a skip would hide a mistake.
        stop = pytest.fail if os.environ.get("REPORT_BROWSER") == "required" else pytest.skip
        stop(HOW.format("chromium, and none is installed"))
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=FOUND, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def comparison(labelled, tmp_path_factory):
    """The page of a run against itself with ten times the error."""
    subject = labelled.record["subjects"][0]
    arrays = companion.of_subject(subject, labelled.results.parent)
    moved = {**arrays, "per_image/error": 10 * arrays["per_image/error"]}
    place = tmp_path_factory.mktemp("compared") / "compare.html"
    return write_comparison([compare(Side(subject, arrays), Side(subject, moved))], place)


@pytest.fixture
def opened(browser):
    """A function that opens a file; what the page complained of or asked for is in ``page.heard``."""
    contexts = []

    def open_(path: Path, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.heard = []
        page.on("console", lambda message: page.heard.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.heard.append(f"error: {error}"))
        page.on("request", lambda request: page.heard.append(f"request: {request.url[:80]}"))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


def outside(heard: list[str]) -> list[str]:
    """What was heard besides the page itself and the pictures in it."""
    return [line for line in heard if not re.match(r"request: (file|data):", line)]


def test_it_opens_from_disk_in_silence(opened, several):
    page = opened(several.report)
    assert outside(page.heard) == []
    assert sum("file:" in line for line in page.heard) == 1
    assert page.title().startswith("Release fidelity")
    for section in ("verdicts", "q1", "q2", "q3", "q4", "q6", "run"):
        assert page.locator(f"section#{section} h2").is_visible()
    assert page.evaluate("window.attacked") is None
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0


def test_an_attack_that_got_through_would_not_run(opened, labelled, tmp_path):
    """The page's policy stops a script that escaping missed, and this test would see one run."""
    bad = tmp_path / "bad.html"
    text = labelled.html.replace("</main>", "<script>window.attacked = 1</script></main>", 1)
    bad.write_text(text, encoding="utf-8")
    page = opened(bad)
    assert page.evaluate("window.attacked") is None
    assert any("Content Security Policy" in line for line in page.heard)
    bad.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text), encoding="utf-8")
    assert opened(bad).evaluate("window.attacked") == 1


def column(table, number: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({number})").evaluate_all("e => e.map(x => x.dataset.sort)")


def numbers(keys: list[str]) -> list[float]:
    return [float(key) for key in keys if "inf" not in key]


def test_tables_sort_by_click_and_by_key(opened, labelled):
    page = opened(labelled.report)
    details = page.locator("details.numbers").filter(has_text="Numbers of the probes")
    details.locator("summary").click()
    table, head = details.locator("table"), details.locator("thead th").nth(1)
    before = column(table, 2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert numbers(column(table, 2)) == sorted(numbers(before))
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers(column(table, 2)) == sorted(numbers(before), reverse=True)
    details.locator("thead th").nth(0).locator("button").focus()
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "none"
    assert column(table, 1) == sorted(column(table, 1))


# Elements that stand out to the right, other than in a part that scrolls by itself.
WIDE = """[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 361
    && !e.closest('.scroll') && !e.closest('svg')).map(e => e.tagName + '.' + e.className)"""


# Words of drawings that begin or end outside of them.
CUT = """[...document.querySelectorAll('svg.drawing text')].filter(e => {
    const text = e.getBoundingClientRect(), all = e.closest('svg').getBoundingClientRect();
    return text.left < all.left - 2 || text.right > all.right + 2; }).map(e => e.textContent)"""


def test_a_phone_needs_no_sideways_scrolling(opened, several):
    page = opened(several.report, viewport=PHONE)
    assert page.evaluate(CUT) == []
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate(WIDE) == []


@pytest.mark.parametrize("width", [390, 1400])
def test_every_word_of_a_comparison_is_on_the_screen(opened, comparison, width):
    page = opened(comparison, viewport={"width": width, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.locator("table.stacks").count() == 2
    off = f"e => e.filter(x => x.getBoundingClientRect().right > {width}).map(x => x.textContent)"
    assert page.locator("table.stacks td").evaluate_all(off) == []
    assert page.locator("td", has_text="certainly worse").first.is_visible()


def test_a_page_that_is_too_wide_and_too_faint_is_noticed(opened, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text('<main style="color: #999; background: #fff"><p style="width: 900px">faint</p></main>')
    page = opened(bad, viewport=PHONE)
    assert page.evaluate(WIDE) == ["P."]
    [(text, ink, ground)] = page.evaluate(TEXTS)
    assert text == "faint"
    assert contrast(ink, ground) < LEAST_CONTRAST
    bad.write_text('<svg class="drawing" width="50"><text x="20" y="9">no room for this</text></svg>')
    assert opened(bad).evaluate(CUT) == ["no room for this"]


# Every visible text with its colour and the first opaque colour behind it.
TEXTS = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => {
    for (let n = e; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || e.closest('script, style') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), svg = e.closest('svg');
    if (svg && svg.querySelector('image') && e.closest('g')) {
      // Numbers on a matrix lie on its colours; they are chosen in black or white for each cell.
      if (/^rgb\\((0, 0, 0|255, 255, 255)\\)$/.test(style.fill)) continue;
    }
    found.push([text.slice(0, 40), parse(svg ? style.fill : style.color).slice(0, 3), behind(svg || e)]);
  }
  return found;
}"""


def contrast(a: list[float], b: list[float]) -> float:
    """Contrast ratio of two sRGB colours by WCAG 2.2, 1 to 21."""

    def luminance(colour):
        linear = [c / 255 / 12.92 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_colours():
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast([119, 119, 119], [255, 255, 255]) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(opened, several, scheme):
    page = opened(several.report, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    texts = page.evaluate(TEXTS)
    assert len(texts) > 500
    faint = [(text, round(contrast(a, b), 2)) for text, a, b in texts if contrast(a, b) < LEAST_CONTRAST]
    assert faint == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(float, re.findall(r"[\d.]+", ground)[:3])) / 3
    assert (brightness < 60) == (scheme == "dark")


def test_the_data_of_a_figure_is_a_file_without_a_request(opened, labelled):
    page = opened(labelled.report)
    with page.expect_download() as saved:
        page.locator("#q6 a.data").first.click()
    assert saved.value.suggested_filename == "error-by-region.csv"
    assert Path(saved.value.path()).read_text().startswith("series,")
    assert outside(page.heard) == []


def test_on_paper_all_verdicts_come_first(opened, labelled):
    page = opened(labelled.report)
    table = page.locator(".on-paper tbody tr")
    assert not table.first.is_visible()
    page.emulate_media(media="print")
    assert table.count() == len(labelled.record["subjects"][0]["verdicts"])
    assert table.last.is_visible()
    assert page.locator(".legend").first.evaluate("e => getComputedStyle(e).breakBefore") == "page"


def test_on_paper_every_table_is_open_and_the_ground_is_white(opened, labelled):
    page = opened(labelled.report, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.numbers:not([open])").count() > 0
    assert page.pdf()[:4] == b"%PDF"
