"""A Sphinx extension: what the book's pages have that Jupyter Book does not give them, or gives them wrong.

Everything that a page needs comes from installed packages, so the book reads the same without the network.
"""

import importlib.util
import inspect
import re
import shutil
from pathlib import Path

from sphinx.util.inspect import stringify_signature

MATHJAX = ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]
"""The parts of MathJax that formulas need: a third of the bundle that Sphinx asks for, most of which is a menu."""
FONT = re.compile(r"@font-face\{[^}]*fa-(?:solid|regular|brands)[^}]*\}")
"""A font of Font Awesome's in a style sheet."""
ICON = re.compile(r'(?:"([a-z0-9-]+)"|([a-z0-9]+)):\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?')
"""One picture in Font Awesome's script: its name, size, other names, code and path."""


def show_init(app, what, name, obj, options, signature, return_annotation):
    """A class is shown with the arguments of its ``__init__``. Keras's ``__new__`` would hide them."""
    if what == "class" and signature == "(*args, **kwargs)":
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        signature = stringify_signature(inspect.Signature(parameters))
    return signature, return_annotation


def configure(app, config):
    """Settings that Jupyter Book's own file cannot carry."""
    # The search button stands above the contents; the theme below this one would put another on top of the page.
    config.html_theme_options["navbar_persistent"] = []
    config.mathjax_path = "mathjax/startup.js"
    config.ogp_site_url = config.html_baseurl
    config.mathjax3_config = {"loader": {"load": MATHJAX}}


def copy_mathjax(static):
    """Put MathJax's parts and fonts into the book, from the package that ships them."""
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for name in ("startup", "output/chtml/fonts/tex", *MATHJAX):
        target = static / "mathjax" / f"{name}.js"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f"{name}.js", target)
    fonts = Path("output/chtml/fonts/woff-v2")
    shutil.copytree(source / fonts, static / "mathjax" / fonts, dirs_exist_ok=True)


def used_icons(script, used):
    """Font Awesome's script with those pictures only whose name is in ``used``: of 2,000 the book shows twenty."""
    return ICON.sub(lambda icon: icon[0] if (icon[1] or icon[2]) in used else "", script)


def repair(html, published=True):
    """A page without what assistive technology stumbles over, or does not need. What is right already stays as it is.

    :param published: whether the book has an address; without one, half an address of page and picture helps nobody.
    """
    if 'class="math' not in html:  # MathJax is twice as large as all else together
        html = re.sub(
            r"\s*<script[^>]*>\s*window\.MathJax = .*?</script>|\s*<script[^>]*mathjax/[^>]*></script>", "", html, flags=re.S
        )
    if not published:
        html = re.sub(r'\s*<meta property="og:(?:url|image|image:alt)" [^>]*/>', "", html)
    # The book's title stands in no landmark.
    html = re.sub(
        r'(sidebar-primary-items__start sidebar-primary__section">\s*<div class="sidebar-primary-item")>',
        r'\1 role="navigation" aria-label="The book">',
        html,
    )
    # The corner of a table is no heading.
    html = re.sub(r"<th( [^>]*)?>(?:<p>)?(?:&nbsp;)?(?:</p>)?</th>", r"<td\1></td>", html)
    # A list must have list items; docutils gives its bibliography none.
    html = re.sub(r'(<div class="citation" id="[^"]*") role="doc-biblioentry"', r'\1 role="listitem"', html)
    # The button that unfolds a part of the contents has an icon and no words.
    html = re.sub(
        r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Show or hide the pages of this chapter">', html
    )
    # Its words are "Search Ctrl+K": a label that says less hides them from those who speak to their computer.
    return re.sub(r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1", html)


def finish(app, error):
    """What is done once all pages are written."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    copy_mathjax(out / "_static")
    pages = [path for path in out.rglob("*.html") if "_static" not in path.parts]
    used = set()
    for path in [*pages, *(out / "_static").glob("scripts/*.js"), *(out / "_static").glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        if path.name != "fontawesome.js":
            used.update(re.findall(r"\bfa-([a-z0-9-]+)", text))
        if path.suffix == ".html" and (better := repair(text, bool(app.config.html_baseurl))) != text:
            path.write_text(better, encoding="utf-8")
    # The script draws the icons; their font, larger than all text of a page, would be loaded for a moment's sake.
    for style in (out / "_static" / "styles").glob("*.css"):
        style.write_text(FONT.sub("", style.read_text(encoding="utf-8")), encoding="utf-8")
    icons = out / "_static" / "scripts" / "fontawesome.js"
    icons.write_text(used_icons(icons.read_text(encoding="utf-8"), used), encoding="utf-8")


def setup(app):
    app.connect("config-inited", configure)
    app.connect("autodoc-process-signature", show_init)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True}
