# SPDX-License-Identifier: Apache-2.0
"""The HTML scoreboard of the committed records in a browser: every chart has marks, nothing is wider than a phone,
nothing is loaded, the console is silent, what is folded opens by key, both themes show a picture that is not empty.
Skipped with a line where no Chromium is installed.

page_test.py ASSAY OUT RECORDS…"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from picture import Picture

SKIPPED = 77
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = {"desktop": 1280, "phone": 390}

# Runs in a copy of the page and leaves its findings in the document's title.
PROBE = """<script>
const errors = [];
window.addEventListener('error', event => errors.push(String(event.message)));
window.addEventListener('load', () => {
  const folded = document.querySelectorAll('details').length;
  const focusable = [...document.querySelectorAll('summary, a')].every(element => element.tabIndex >= 0);
  const wide = document.documentElement.scrollWidth;
  document.querySelectorAll('details').forEach(element => element.open = true);
  const charts = [...document.querySelectorAll('svg')].map(svg => {
    const box = svg.getBoundingClientRect(), drawn = svg.getBBox();
    return {classes: svg.getAttribute('class'), name: svg.getAttribute('aria-label'),
            marks: svg.querySelectorAll('circle, rect, path').length,
            shown: box.width > 0 && box.height > 0, drawn: drawn.width > 0 && drawn.height > 0};
  });
  const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
  const links = [...document.querySelectorAll('a')].map(element => element.getAttribute('href'));
  const found = {errors, charts, folded, focusable, wide, window: window.innerWidth,
                 doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
                 dangling: links.filter(link => !ids.includes(link.slice(1)))};
  document.body.replaceChildren(Object.assign(document.createElement('pre'), {textContent: JSON.stringify(found)}));
});
</script>"""


def browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Page(unittest.TestCase):
    assay: str
    out: Path
    records: list[str]

    @classmethod
    def setUpClass(cls):
        subprocess.run([cls.assay, "report", *cls.records, "--out", str(cls.out)], check=True, stdout=subprocess.DEVNULL)
        cls.page = cls.out / "scoreboard.html"

    def run_browser(self, page: Path, *options: str) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory() as profile:
            return subprocess.run(
                [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
                 "--enable-logging=stderr", f"--user-data-dir={profile}", *options, page.as_uri()],
                capture_output=True, text=True, timeout=240, check=True,
            )

    def probed(self, width: int) -> dict:
        page = self.out / "probed.html"
        page.write_text(self.page.read_text(encoding="utf-8").replace("</main>", "</main>" + PROBE), encoding="utf-8")
        ran = self.run_browser(page, f"--window-size={width},900", "--dump-dom")
        self.assertNotIn(":CONSOLE", ran.stderr)
        found = re.search(r"<pre>(\{.*\})</pre>", ran.stdout, re.DOTALL)
        self.assertIsNotNone(found, "the probe left nothing: " + ran.stdout[:400])
        return json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    def test_every_chart_is_drawn_and_the_console_is_silent(self):
        found = self.probed(WIDTHS["desktop"])
        self.assertEqual(found["errors"], [])
        self.assertEqual([c["name"] for c in found["charts"] if not (c["marks"] and c["shown"] and c["drawn"])], [])
        classes = " ".join(c["classes"] for c in found["charts"]).split()
        for kind in ("points", "plane", "memory", "errors", "spark"):
            self.assertIn(kind, classes)
        self.assertTrue(all(c["name"] for c in found["charts"]), "every chart has a name to be read aloud")

    def test_nothing_is_loaded_and_nothing_runs(self):
        text = self.page.read_text(encoding="utf-8")
        outside = re.compile(r"""<script|<link|<iframe|<object|@import|url\(|\s(src|srcset|data|href|xlink:href)=["'](?!#)""")
        self.assertEqual([text[max(0, m.start() - 40) : m.end() + 40] for m in outside.finditer(text)], [])

    def test_links_lead_somewhere_and_what_is_folded_takes_keys(self):
        found = self.probed(WIDTHS["desktop"])
        self.assertEqual(found["doubled"], [])
        self.assertEqual(found["dangling"], [])
        self.assertGreater(found["folded"], 0)
        self.assertTrue(found["focusable"])

    def test_nothing_is_wider_than_its_window(self):
        for name, width in WIDTHS.items():
            with self.subTest(name):
                # A headless window may be no narrower than 500 pixels; what it took is what must hold.
                found = self.probed(width)
                self.assertLessEqual(found["wide"], found["window"])

    def test_both_themes_show_a_picture(self):
        text = self.page.read_text(encoding="utf-8")
        dark = self.out / "dark.html"
        dark.write_text(text.replace("(prefers-color-scheme:dark)", "all"), encoding="utf-8")
        brightness = {}
        for theme, page in (("light", self.page), ("dark", dark)):
            for name, width in WIDTHS.items():
                picture = self.out / f"{theme}_{name}.png"
                picture.unlink(missing_ok=True)
                self.run_browser(page, f"--window-size={width},1600", f"--screenshot={picture}")
                shown = Picture(picture)
                with self.subTest(picture.name):
                    self.assertGreater(len(shown.colours), 50)
                    self.assertLess(shown.share_of_commonest(), 0.95, "an empty page is of one colour")
                    brightness[theme, name] = shown.brightness()
        for name in WIDTHS:
            self.assertGreater(brightness["light", name], 0.8)
            self.assertLess(brightness["dark", name], 0.35)


if __name__ == "__main__":
    if browser() is None:
        print(f"skipped: no Chromium to open the page with (Debian package chromium; tried {', '.join(BROWSERS)})")
        sys.exit(SKIPPED)
    Page.assay, Page.out, Page.records = sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3:]
    os.makedirs(Page.out, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
