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
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject, TextStringObject

from palcore import __version__
from palcore.files import whole_file
from study.book.serve import HTML, browser, published
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
            path = urlsplit(target.removeprefix(site)).path.lstrip("/") if target.startswith(site) else None
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


def print_book(chrome, site, contents, facts, address=""):
    """Print the chapters of a built book one after the other, with their titles as bookmarks below those of their parts.

    :param chrome: Playwright's browser.
    :param site: where the book is served.
    :param contents: what `_toc.yml` says.
    :param facts: see `front_matter`.
    :param address: see `redirect_links`.
    :return: `pypdf.PdfWriter`.
    :raises FileNotFoundError: where a chapter has not been built.
    """
    parts = [(None, [contents["root"]]), *((part["caption"], listed_files(part)) for part in contents.get("parts", []))]
    readers, chapters, page = [], [], chrome.new_page()
    for part, names in parts:
        for name in (name for name in names if not name.startswith("book/reference/")):
            if page.goto(f"{site}/{name}.html", wait_until="load").status == 404:
                raise FileNotFoundError(f"the book has no {name}.html: run `make book` first")
            page.evaluate("() => window.MathJax?.startup?.promise")
            page.evaluate("() => document.fonts.ready")
            page.evaluate(STILL)
            first = sum(len(reader.pages) for reader in readers)
            chapters.append((part if name == names[0] else None, name, page.evaluate(TITLE), first))
            readers.append(printed(page))
    before = len(front_matter(page, site, facts, chapters, 0).pages)
    writer, above = PdfWriter(), None
    writer.append(front_matter(page, site, facts, chapters, before), import_outline=False)
    for (part, _, title, first), reader in zip(chapters, readers, strict=True):
        writer.append(reader, import_outline=False)
        above = writer.add_outline_item(title=part, page_number=first + before) if part else above
        writer.add_outline_item(title=title, page_number=first + before, parent=above)
    redirect_links(writer, site, {name: first + before for _, name, _, first in chapters}, address)
    number_pages(writer, page)
    page.close()
    writer.add_metadata({"/Title": facts["title"], "/Author": facts["author"], "/Subject": facts["edition"]})
    return writer


def print_study(chrome, site):
    """`print_book` of the study's own book, as `_toc.yml` and `_config.yml` have it."""
    contents, config = (yaml.safe_load((ROOT / name).read_text()) for name in ("_toc.yml", "_config.yml"))
    date = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%cs"], capture_output=True, text=True).stdout.strip()
    edition = ", ".join(filter(None, [f"version {__version__}", date]))
    facts = {"title": config["title"], "author": config["author"], "edition": edition}
    return print_book(chrome, site, contents, facts, published_address(config))


def faults(book):
    """One sentence for each empty sheet of a printed book, and for each link that leads to the machine that printed it."""
    problems = []
    for number, sheet in enumerate(book.pages, start=1):
        if len(sheet.extract_text().split()) < 2 and "/XObject" not in sheet["/Resources"]:
            problems.append(f"sheet {number} of the PDF is empty")
        targets = [str(link.get_object().get("/A", {}).get("/URI", "")) for link in sheet.get("/Annots") or ()]
        local = [target for target in targets if urlsplit(target).hostname == "127.0.0.1" or target.startswith("file:")]
        problems += [f"sheet {number} of the PDF links to {target}, on the machine that printed it" for target in local]
    return problems


def main():
    target = ROOT / "_build" / "palcore.pdf"
    try:
        with browser() as chrome, published(HTML) as (site, _):
            writer = print_study(chrome, site)
    except FileNotFoundError as error:
        sys.exit(str(error))
    with whole_file(target) as draft:
        writer.write(draft)
    print(f"{target.relative_to(ROOT)}: {len(writer.pages)} pages, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
