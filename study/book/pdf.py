"""Print the built book into one PDF, `_build/palcore.pdf`: `make pdf`, after `make book`. Chromium prints, pypdf joins.

A title page and a table of contents come first, then the chapters in the order of `_toc.yml`, without the pages of the reference. A
link to a chapter leads to its page; one to what is not printed leads to the published book, where that has an address. Folded
tables and solutions are opened. Folded code and logs, and the lists of every run, for which no sheet is wide enough, are left out.
A slider is its first picture.
"""

import html as markup
import io
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject, TextStringObject

from palcore import __version__
from study.book.check_site import HTML, chromium, served
from study.book.source import listed_files, published_address

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


STYLE = """<style>
body { font: 11pt sans-serif; } h1 { margin-top: 30%; font-size: 28pt; } a { color: inherit; text-decoration: none; }
li { list-style: none; display: flex; gap: 1em; } li span { margin-left: auto; } .part { margin-top: .8em; font-weight: bold; }
section { break-after: page; } .blank { break-after: page; height: 1px; }
</style>"""


def printed(page, **options):
    """What a page of Chromium looks like on paper, as `pypdf.PdfReader`."""
    return PdfReader(io.BytesIO(page.pdf(**PAPER, **options)))


def front_matter(page, site, facts, chapters, before):
    """Title page and contents.

    :param facts: `{"title", "author", "edition"}`.
    :param chapters: `[(part or None, name, title, first page)]`, pages counted from 0 without what this function makes.
    :param before: how many pages this function makes, as far as that is known.
    """
    lines = []
    for part, name, title, first in chapters:
        lines += [f'<li class="part">{markup.escape(part)}</li>'] if part else []
        lines.append(f'<li><a href="{site}/{name}.html">{markup.escape(title)}</a><span>{first + before + 1}</span></li>')
    title, author, edition = (markup.escape(facts[name]) for name in ("title", "author", "edition"))
    page.set_content(
        f"{STYLE}<section><h1>{title}</h1><p>{author}</p><p>{edition}</p></section><h2>Contents</h2><ul>{''.join(lines)}</ul>"
    )
    return printed(page)


def number_pages(writer, page):
    """Stamp each page but the first with its number."""
    page.set_content(STYLE + '<div class="blank"></div>' * (len(writer.pages) - 1) + "<div></div>")
    footer = '<div style="width: 100%; text-align: center; font: 9pt sans-serif"><span class="pageNumber"></span></div>'
    stamps = printed(page, display_header_footer=True, header_template="<span></span>", footer_template=footer)
    for sheet, stamp in list(zip(writer.pages, stamps.pages, strict=True))[1:]:
        sheet.merge_page(stamp)
        sheet.compress_content_streams()


def redirect_links(writer, site, starts, address):
    """Let no link lead to the server that the pages were printed from.

    :param starts: `{chapter: its first page}`.
    :param address: of the published book, or "": links to what is not printed are then plain text.
    """
    for sheet in writer.pages:
        kept = ArrayObject()
        for reference in sheet.get("/Annots") or ():
            link = reference.get_object()
            target = str(link.get("/A", {}).get("/URI", ""))
            path = urlsplit(target).path.lstrip("/") if target.startswith(site) else None
            name = path and path.removesuffix(".html")
            if name in starts:
                del link[NameObject("/A")]
                link[NameObject("/Dest")] = ArrayObject([writer.pages[starts[name]].indirect_reference, NameObject("/Fit")])
            elif path is not None and address:
                link["/A"][NameObject("/URI")] = TextStringObject(urljoin(address, path))
            if name in starts or path is None or address:
                kept.append(reference)
        if "/Annots" in sheet:
            sheet[NameObject("/Annots")] = kept


def print_book(browser, html, contents, facts, address=""):
    """Print the chapters of a built book one after the other, with their titles as bookmarks below those of their parts.

    :param browser: Playwright's.
    :param html: folder of the built book.
    :param contents: what `_toc.yml` says.
    :param facts: see `front_matter`.
    :param address: see `redirect_links`.
    :return: `pypdf.PdfWriter`.
    :raises FileNotFoundError: where a chapter has not been built.
    """
    parts = [(None, [contents["root"]]), *((part["caption"], listed_files(part)) for part in contents.get("parts", []))]
    missing = [name for _, names in parts for name in names if not (html / f"{name}.html").is_file()]
    if missing:
        raise FileNotFoundError(f"{html} has no {missing[0]}.html: run `make book` first")
    readers, chapters, page = [], [], browser.new_page()
    with served(html) as site:
        for part, names in parts:
            for name in names:
                page.goto(f"{site}/{name}.html", wait_until="load")
                page.evaluate("() => window.MathJax?.startup?.promise")
                page.evaluate("() => document.fonts.ready")
                page.evaluate(STILL)
                first = sum(len(reader.pages) for reader in readers)
                chapters.append((part if name == names[0] else None, name, page.evaluate(TITLE), first))
                readers.append(printed(page))
        before = len(front_matter(page, site, facts, chapters, 0).pages)
        writer = PdfWriter()
        writer.append(front_matter(page, site, facts, chapters, before), import_outline=False)
        above = None
        for (part, _, title, first), reader in zip(chapters, readers, strict=True):
            writer.append(reader, import_outline=False)
            above = writer.add_outline_item(title=part, page_number=first + before) if part else above
            writer.add_outline_item(title=title, page_number=first + before, parent=above)
        redirect_links(writer, site, {name: first + before for _, name, _, first in chapters}, address)
        number_pages(writer, page)
    page.close()
    writer.add_metadata({"/Title": facts["title"], "/Author": facts["author"], "/Subject": facts["edition"]})
    return writer


def main():
    if not chromium():
        sys.exit("there is no Chromium on the path: install Debian's `chromium`, or name one in CHROMIUM")
    target, config = ROOT / "_build" / "palcore.pdf", yaml.safe_load((ROOT / "_config.yml").read_text())
    date = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%cs"], capture_output=True, text=True).stdout.strip()
    facts = {
        "title": config["title"],
        "author": config["author"],
        "edition": ", ".join(filter(None, [f"version {__version__}", date])),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
            writer = print_book(browser, HTML, contents, facts, published_address(config))
        except FileNotFoundError as error:
            sys.exit(str(error))
    draft = target.with_suffix(".part")
    writer.write(draft)
    draft.replace(target)
    print(f"{target.relative_to(ROOT)}: {len(writer.pages)} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
