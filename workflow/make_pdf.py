"""Print the built book into one PDF, `_build/palcore.pdf`: `make pdf`, after `make book`. Chromium prints, pypdf joins.

Chapters come in the order of `_toc.yml`, without the pages of the reference. Folded tables and solutions are opened, code and logs
left out, and a slider is its first picture.
"""

import io
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workflow.check_site import HTML, chromium, served  # noqa: E402
from workflow.pages import listed_files  # noqa: E402

STILL = """() => {
    document.documentElement.dataset.theme = document.documentElement.dataset.mode = 'light';
    for (const fold of document.querySelectorAll('main details')) {
        const code = fold.matches('.above-input, .below-input');
        fold.open = !code;
        if (code) fold.style.display = 'none';
    }
    for (const slider of document.querySelectorAll('main figure input[type=range]')) slider.remove();
}"""
TITLE = "() => (document.querySelector('main h1')?.firstChild?.textContent || document.title).trim()"
PAPER = {"format": "A4", "print_background": True, "margin": dict.fromkeys(("top", "bottom", "left", "right"), "16mm")}


def print_book(html, contents, target):
    """Print the chapters of a built book one after the other, with their titles as bookmarks below those of their parts.

    :param html: folder of the built book.
    :param contents: what `_toc.yml` says.
    :param target: the PDF.
    :return: how many sheets it has.
    :raises FileNotFoundError: where a chapter has not been built, or there is no Chromium.
    """
    parts = [("", [contents["root"]]), *((part["caption"], listed_files(part)) for part in contents.get("parts", []))]
    missing = [name for _, names in parts for name in names if not (html / f"{name}.html").is_file()]
    if missing:
        raise FileNotFoundError(f"{html} has no {missing[0]}.html: run `make book` first")
    if not chromium():
        raise FileNotFoundError("there is no Chromium on the path: install Debian's `chromium`, or name one in CHROMIUM")
    writer = PdfWriter()
    with served(html) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
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
                    above = writer.add_outline_item(caption, first)
                writer.add_outline_item(page.evaluate(TITLE), first, parent=above)
        browser.close()
    draft = target.with_suffix(".part")
    writer.write(draft)
    draft.replace(target)
    return len(writer.pages)


def main():
    target = ROOT / "_build" / "palcore.pdf"
    try:
        sheets = print_book(HTML, yaml.safe_load((ROOT / "_toc.yml").read_text()), target)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{target.relative_to(ROOT)}: {sheets} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
