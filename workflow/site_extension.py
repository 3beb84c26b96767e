"""A Sphinx extension: what the book's pages have that Jupyter Book does not give them, or gives them wrong.

Everything that a page needs comes from installed packages, so the book reads the same without the network.
"""

import importlib.util
import inspect
import re
import shutil
from pathlib import Path

from sphinx.util.inspect import stringify_signature

MATHJAX = ["startup", "core", "input/tex", "output/chtml", "output/chtml/fonts/tex", "a11y/assistive-mml"]
"""The parts of MathJax that the formulas use, without suffix: a third of the bundle, whose menu alone is larger than they are."""


def show_init(app, what, name, obj, options, signature, return_annotation):
    """A class is shown with the arguments of its ``__init__``. Keras's ``__new__`` would hide them."""
    if what == "class" and signature == "(*args, **kwargs)":
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        signature = stringify_signature(inspect.Signature(parameters))
    return signature, return_annotation


def configure(app, config):
    """Settings that Jupyter Book's own file cannot carry."""
    # The search button stands above the contents; the theme below this one would add another on top of the page.
    config.html_theme_options["navbar_persistent"] = []
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {"loader": {"load": [part for part in MATHJAX if part not in ("startup", "output/chtml/fonts/tex")]}}


def copy_mathjax(app, error):
    """MathJax's parts and fonts, from the package that ships them, into the book."""
    if error or app.builder.format != "html":
        return
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX:
        path = Path(f"{part}.js")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    fonts = Path("output/chtml/fonts/woff-v2")
    shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)


def breakable(name):
    """A dotted name that may break after each dot and underscore."""
    return re.sub(r"([._])(?=\w)", r"\1<wbr/>", name)


def repair(body):
    """A page's HTML without the faults that assistive technology stumbles over, and with names that break on a phone."""
    # docutils calls a bibliography a list, but its entries are not list items.
    body = re.sub(
        r'<div class="docutils container" id="(.*?)">\n<div role="list" class="citation-list">',
        r'<div id="\1">\n<div role="list" class="citation-list">',
        body,
    )
    body = body.replace('<div class="citation" ', '<div class="citation" role="listitem" ').replace(
        'role="doc-biblioentry" role="listitem"', 'role="listitem"'
    )
    return re.sub(r"(<h1>)([\w.]+)", lambda match: match[1] + breakable(match[2]), body)


def finish_page(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = repair(context["body"])


def setup(app):
    app.connect("config-inited", configure)
    app.connect("autodoc-process-signature", show_init)
    app.connect("html-page-context", finish_page)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True}
