"""Look at the built book as a browser does, and say what is wrong with it: `make check-book`, after `make book`.

The book is looked at as it would be published: under a sub-path of a server.
"""

import argparse
import datetime
import gzip
import json
import re
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import TimeoutError

from palcore.files import write_json
from study.book.serve import HTML, browser, published

SIGNED = Path(__file__).resolve().parents[2] / "results" / "quality" / "alt.json"
"""The alt texts that somebody has read beside their pictures."""
DESK = {"width": 1280, "height": 900}
WIDTHS = (320, 390, 768, 1280, 1920)
HEAVIEST, FRONT = 1_000_000, 350_000
"""Bytes that a page, and the first one, may weigh without pictures, as a web server sends it: text and scripts compressed."""
PHOTO = Path(__file__).resolve().parents[2] / "book" / "figures" / "two_networks.png"
"""What a page is given that asks for a picture."""
FIRST, SOUGHT = "book/intro.html", "pointing game"
AXE = """() => axe.run({exclude: [['.cell_output iframe']]}, {resultTypes: ['violations'], preload: false})
    .then(found => found.violations.map(each => `${each.id}: ${each.nodes.length} at ${each.nodes[0].target} (${each.help})`))"""
UNFOLD = "() => document.querySelectorAll('main details').forEach(fold => { fold.open = true; })"
CUT = """() => [...document.querySelectorAll('main *')].map(box => {
    const hidden = box.scrollWidth - box.clientWidth, {display, overflowX} = getComputedStyle(box);
    if (hidden <= 1 || !box.offsetParent || box.clientWidth <= 1 || display === 'inline' || overflowX === 'visible') return null;
    if (box.closest('.math')) return null; // a formula has its words beside it, for those who hear it
    const name = `<${box.tagName.toLowerCase()} class="${box.className}"> lacks ${hidden} px: ${box.textContent.slice(0, 40)}`;
    if (overflowX === 'hidden' || overflowX === 'clip') return `cuts off what no reader can scroll to: ${name}`;
    if (box.matches('pre')) return `breaks no line of code: ${name}`;
    const drawn = box.querySelector('img, svg, canvas');
    return drawn && !box.closest('.scrolls') ? `does not say that a figure scrolls: ${name}` : null;
}).filter(Boolean)"""
SLIDE = """slider => {
    const before = slider.nextElementSibling.value;
    slider.value = slider.value === slider.max ? 0 : slider.max;
    slider.dispatchEvent(new Event('input'));
    return slider.nextElementSibling.value !== before;
}"""
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Page(HTMLParser):
    """What a page links to, the places in it that a link can name, and the alt texts of its pictures."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.names, self.alts = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.targets += [attributes[key] for key in ("href", "src") if attributes.get(key)]
        hidden = "display: none" in (attributes.get("style") or "")  # the later frames of a slider say as much as the first
        self.alts += [attributes["alt"]] if tag == "img" and attributes.get("alt") and not hidden else []


def paths_of(html):
    """All pages of a book in the folder ``html``."""
    return [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]


def read_pages(html):
    return {path: Page(path.read_text(encoding="utf-8")) for path in paths_of(html)}


def broken_links(html):
    """One sentence for each link of any page that leads to no file, or to no place in it.

    :param html: folder of the built book.
    """
    pages, problems = read_pages(html), []
    for path, page in pages.items():
        for target in dict.fromkeys(page.targets):
            if urlsplit(target).scheme or target.startswith("//"):
                continue
            address, place = urldefrag(target)
            address = unquote(urlsplit(address).path)
            file = (path.parent / address).resolve() if address else path
            where = f"{path.relative_to(html)} links to {target}"
            if not file.exists():
                problems.append(f"{where}, but there is no such file")
            elif place and file in pages and unquote(place) not in pages[file].names:
                problems.append(f"{where}, but that page has no such place")
    return problems


def alt_texts(html):
    """``{page: its alt texts}`` of a book."""
    texts = {path.relative_to(html).as_posix(): sorted(set(page.alts)) for path, page in read_pages(html).items()}
    return {name: alts for name, alts in texts.items() if alts}


def unsigned(html, signed):
    """One sentence for each alt text that is not, or not like this, among those that somebody has read beside their pictures."""
    known = json.loads(signed.read_text())["texts"]
    new = [(name, alt) for name, alts in alt_texts(html).items() for alt in alts if alt not in known.get(name, ())]
    return [f"{name}: nobody has compared {alt!r} with its picture: look, then run this with --sign NAME" for name, alt in new]


def watch(page, site, problems):
    """Note whatever a page complains of, and whatever it asks of any machine but ``site``. Returns the list of what it loaded."""
    loaded = []
    page.on("pageerror", lambda error: problems.append(f"a script stops: {error}"))
    page.on("console", lambda line: problems.append(f"the console says: {line.text}") if line.type == "error" else None)
    # What a page was still loading when it was left says nothing of it.
    page.on(
        "requestfailed",
        lambda request: (
            None if request.failure == "net::ERR_ABORTED" else problems.append(f"could not load {request.url}: {request.failure}")
        ),
    )
    page.on("response", lambda response: loaded.append(response.url))
    page.on(
        "response",
        lambda response: problems.append(f"got {response.status} for {response.url}") if response.status >= 400 else None,
    )
    page.route(lambda url: not url.startswith((site, "data:", "blob:")), lambda route: route.abort())
    return loaded


def weight(urls, site, html):
    """Bytes of what a page loaded, without pictures: texts as gzip makes them, fonts as they are."""
    total = 0
    for url in dict.fromkeys(urls):
        path = html / unquote(urlsplit(url.removeprefix(site)).path).lstrip("/")
        if url.startswith(site) and path.is_file() and path.suffix not in (".png", ".svg", ".jpg", ".gif", ".ico", ".webp"):
            content = re.sub(rb"data:image/[^\"')]*", b"", path.read_bytes())  # the sliders' pictures stand in the page
            total += len(content) if path.suffix.startswith(".woff") else len(gzip.compress(content, 6))
    return total


def settled(page, question, patience=20):
    """What a page answers to a question about faults, asked again while there are any: its own scripts follow a resize in time."""
    for _ in range(patience):
        if not (faults := page.evaluate(question)):
            break
        page.wait_for_timeout(250)
    return faults


def look_at(chrome, site, name, html):
    """What is wrong with one page, its folds opened: at each of ``WIDTHS``, with all rules of axe-core in each theme, and in use.

    :param chrome: Playwright's browser.
    :param site: address of the book.
    :param name: the page's path below it.
    :param html: the folder that is served there.
    :return: sentences.
    """
    problems = []
    context = chrome.new_context(viewport=DESK)
    page = context.new_page()
    loaded = watch(page, site, problems)
    page.goto(f"{site}/{name}", wait_until="load")
    page.add_style_tag(content="*, ::before, ::after { transition: none !important; animation: none !important }")
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => document.fonts.ready")
    most = FRONT if name == FIRST else HEAVIEST
    if (weighs := weight(loaded, site, html)) > most:
        problems.append(f"weighs {weighs / 1e6:.2f} MB without its pictures: {most / 1e6:g} MB is the most")
    page.evaluate(UNFOLD)
    for button in page.locator(".patch-start").all():
        button.click()
        page.wait_for_selector(".patch")
        for asked in page.locator(".patch input[type=file]").all():
            asked.set_input_files(PHOTO)
        page.wait_for_selector(".patch tbody tr")
        page.locator(".patch-handle").press("ArrowUp")
    if dead := sum(not slider.evaluate(SLIDE) for slider in page.locator("main figure input[type=range]").all()):
        problems.append(f"has {dead} sliders that change nothing")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": DESK["height"]})
        if wide := settled(page, WIDE):
            problems.append(f"scrolls sideways at {width} px by {wide}")
        problems += [f"{cut} (at {width} px)" for cut in settled(page, CUT)]
    page.set_viewport_size(DESK)
    page.evaluate(AXE_SCRIPT)
    for theme in ("light", "dark"):
        page.evaluate(
            "theme => { document.documentElement.dataset.theme = theme; document.documentElement.dataset.mode = theme; }", theme
        )
        problems += [f"axe, {theme}: {violation}" for violation in page.evaluate(AXE)]
    for picture in page.locator("main a[data-lightbox]:visible").all()[:1]:
        try:
            picture.click()
            page.locator("#lightbox .lb-image").wait_for(timeout=5000)
            page.keyboard.press("Escape")
            page.locator("#lightbox").wait_for(state="hidden", timeout=5000)
        except TimeoutError:
            problems.append("has a picture that does not open large, or does not close again")
    context.close()
    return [f"{name} {problem}" for problem in dict.fromkeys(problems)]


def use(chrome, site):
    """What is wrong with the way in, and with the search."""
    problems = []
    context = chrome.new_context(viewport=DESK)
    page = context.new_page()
    watch(page, site, problems)
    page.goto(f"{site}/")
    try:
        page.wait_for_url(f"{site}/{FIRST}", timeout=10_000)
    except TimeoutError:
        problems.append(f"opens with {page.url}, not with {FIRST}")
    page.goto(f"{site}/search.html?q={SOUGHT.replace(' ', '+')}")
    try:
        page.locator("#search-results li a").first.click(timeout=20_000)
    except TimeoutError:
        problems.append(f"finds nothing when asked for {SOUGHT!r}")
    context.close()
    return [f"the site {problem}" for problem in dict.fromkeys(problems)]


def check(html, only=""):
    """Every problem of the book in ``html``, a sentence each, said when it is found.

    :param html: folder of the built book.
    :param only: open only pages whose name has this in it.
    :raises FileNotFoundError: if there is no book, or no Chromium.
    """
    if not (html / "index.html").exists():
        raise FileNotFoundError(f"{html} holds no book: run `make book` first")
    problems = []

    def say(sentences):
        problems.extend(sentences)
        print(*sentences, sep="\n", end="\n" if sentences else "", flush=True)

    with browser() as chrome, published(html) as site:
        say(broken_links(html))
        say(unsigned(html, SIGNED))
        for path in paths_of(html):
            name = path.relative_to(html).as_posix()
            if only in name and name != "index.html":
                say(look_at(chrome, site, name, html))
        say(use(chrome, site))
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", nargs="?", type=Path, default=HTML, help="folder of the built book")
    parser.add_argument("--only", default="", metavar="TEXT", help="open only the pages whose name has TEXT in it")
    parser.add_argument("--sign", metavar="NAME", help="NAME has read each alt text beside its picture: keep them")
    arguments = parser.parse_args()
    if arguments.sign:
        date = datetime.date.today().isoformat()
        write_json(SIGNED, {"signed": arguments.sign, "date": date, "texts": alt_texts(arguments.html.resolve())})
        return
    start = time.perf_counter()
    try:
        problems = check(arguments.html.resolve(), arguments.only)
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"{len(problems)} problems, found in {time.perf_counter() - start:.0f} s")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
