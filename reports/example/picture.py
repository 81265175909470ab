"""Make report.png, the README's picture, from report.html: ``python reports/example/picture.py``.

Needs chromium and the playwright package, see tests/report/test_browser.py.
"""

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
WIDTH, HEIGHT, GAP = 1240, 1440, 40
PARTS = (("light", "body"), ("dark", "#q2"))  # the top of the page by day, question 2 by night


def main() -> None:
    """Photograph two parts of the report and put them side by side."""
    whole = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "white")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for place, (scheme, part) in enumerate(PARTS):
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme=scheme)
            page.goto((HERE / "report.html").as_uri())
            top = page.locator(part).bounding_box()["y"]
            shot = Image.open(io.BytesIO(page.screenshot(full_page=True)))
            whole.paste(shot.crop((0, int(top), WIDTH, int(top) + HEIGHT)), (place * (WIDTH + GAP), 0))
        browser.close()
    small = whole.resize((1680, round(HEIGHT * 1680 / whole.width)), Image.Resampling.LANCZOS)
    # Octree keeps the few strong colours that median cut merges.
    small = small.quantize(256, method=Image.Quantize.FASTOCTREE, kmeans=3, dither=Image.Dither.NONE)
    small.save(HERE / "report.png", optimize=True)
    print(f"{HERE / 'report.png'}: {(HERE / 'report.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
