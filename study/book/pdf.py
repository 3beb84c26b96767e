"""Print the built book into one PDF, `_build/palcore.pdf`: `make pdf`, after `make book`. Chromium prints, pypdf joins.

Chapters come in the order of `_toc.yml`, without the pages of the reference. Folded tables and solutions are opened. Folded
code and logs, and the lists of every run, for which no sheet is wide enough, are left out. A slider is its first picture.
"""

import io
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter

from study.book.check_site import HTML, chromium, served
from study.book.source import listed_files

ROOT = Path(__file__).resolve().parents[2]
STILL = """() => {
    document.documentElement.dataset.theme = document.documentElement.dataset.mode = 'light';
    for (const fold of document.querySelectorAll('main details')) {
        fold.open = !fold.matches('.above-input, .below-input') && !/^Every run/.test(fold.querySelector('summary').textContent);
        if (!fold.open) fold.style.display = 'none';
    }
    for (const slider of document.querySelectorAll('main figure input[type=range]')) slider.remove();
}"""
TITLE = "() => (document.querySelector('main h1')?.firstChild?.textContent || document.title).trim()"
PAPER = {"format": "A4", "print_background": True, "margin": dict.fromkeys(("top", "bottom", "left", "right"), "16mm")}


def print_book(browser, html, contents):
    """Print the chapters of a built book one after the other, with their titles as bookmarks below those of their parts.

    :param browser: Playwright's.
    :param html: folder of the built book.
    :param contents: what `_toc.yml` says.
    :return: `pypdf.PdfWriter`.
    :raises FileNotFoundError: where a chapter has not been built.
    """
    parts = [("", [contents["root"]]), *((part["caption"], listed_files(part)) for part in contents.get("parts", []))]
    missing = [name for _, names in parts for name in names if not (html / f"{name}.html").is_file()]
    if missing:
        raise FileNotFoundError(f"{html} has no {missing[0]}.html: run `make book` first")
    writer, page = PdfWriter(), browser.new_page()
    with served(html) as site:
        for caption, names in parts:
            above = None
            for name in names:
                page.goto(f"{site}/{name}.html", wait_until="load")
                page.evaluate("() => window.MathJax?.startup?.promise")
                page.evaluate("() => document.fonts.ready")
                page.evaluate(STILL)
                first = len(writer.pages)
                writer.append(PdfReader(io.BytesIO(page.pdf(**PAPER))), import_outline=False)
                if caption and above is None:
                    above = writer.add_outline_item(title=caption, page_number=first)
                writer.add_outline_item(title=page.evaluate(TITLE), page_number=first, parent=above)
    page.close()
    return writer


def main():
    if not chromium():
        sys.exit("there is no Chromium on the path: install Debian's `chromium`, or name one in CHROMIUM")
    target = ROOT / "_build" / "palcore.pdf"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            writer = print_book(browser, HTML, yaml.safe_load((ROOT / "_toc.yml").read_text()))
        except FileNotFoundError as error:
            sys.exit(str(error))
    draft = target.with_suffix(".part")
    writer.write(draft)
    draft.replace(target)
    print(f"{target.relative_to(ROOT)}: {len(writer.pages)} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
