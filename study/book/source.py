"""What the book is made of: its chapters, the pages that are written while it is built, and its settings."""

import os
import re
import shutil
from pathlib import Path

import yaml
from sphinx_external_toc.parsing import parse_toc_data

ROOT = Path(__file__).resolve().parents[2]
MODULES = re.compile(r"<!-- modules: (\S+), first (.*?)(?:, without (.*?))? -->")
"""Stands in a page of the reference where modules are documented: where their files are, and the order in which one reads them."""


def with_modules(page):
    """A page's text with the documentation of modules in its place; those that ``MODULES`` does not name come last."""

    def documented(mark):
        first, left_out, names = mark[2].split(), (mark[3] or "").split(), []
        for path in ROOT.glob(mark[1]):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            names += [] if "._" in name or name in left_out else [name]
        names.sort(key=lambda name: (first.index(name) if name in first else len(first), name))
        return "\n".join(f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n" for name in names)

    return MODULES.sub(documented, page)


def repository(config):
    """The address of the repository: ``repository.url`` of the settings, or where GitHub runs this, or "" for none."""
    server, name = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_REPOSITORY", "")
    return config["repository"]["url"] or (f"{server}/{name}" if server and name else "")


def published_address(config):
    """Where the book can be read: GitHub's pages of the repository, or "" where that has no address."""
    owner, _, name = repository(config).removeprefix("https://github.com/").partition("/")
    return f"https://{owner}.github.io/{name}/" if name and repository(config).startswith("https://github.com/") else ""


def with_buttons(config):
    """Jupyter Book's settings with the buttons that need an address, or without all of them where there is none."""
    address = repository(config)
    if published := published_address(config):
        config["html"]["baseurl"] = published  # what others show beside a link needs whole addresses
    config["repository"]["url"] = address
    for button in ("use_repository_button", "use_issues_button", "use_edit_page_button"):
        config["html"][button] = bool(address)
    if address.startswith("https://github.com/"):
        config["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
    return config


def with_roles(notebook):
    """A notebook's text whose links to an equation, a reference or a module become what the book makes more of.

    JupyterLab shows a role such as ``{cite}`key``` as it stands, so the notebooks have links that hold everywhere:
    ``[Eq. pal](../book/method.md)``, ``[key](../book/references.bib)``, ``[`palcore.losses`](../palcore/losses.py)``.
    """

    def of_code(link):
        name, module = link[1], link[2].replace("/", ".").removesuffix(".__init__")
        return f"{{py:obj}}`{name}`" if f"{name}.".startswith(f"{module}.") else f"{{py:obj}}`~{module}.{name}`"

    notebook = re.sub(r"\[Eq\. ([\w-]+)\]\(\.\./book/method\.md\)", r"{eq}`\1`", notebook)
    notebook = re.sub(r"\[(\w+)\]\(\.\./book/references\.bib\)", r"{cite}`\1`", notebook)
    return re.sub(r"\[`([\w.]+)`\]\(\.\./([\w/]+)\.py\)", of_code, notebook)


def listed_files(contents):
    """Every file that a table of contents names, without suffix, in its order."""
    return list(parse_toc_data(contents))


def source_files(contents, notebook):
    """``{path in the book's source folder: bytes}`` of the whole book, generated pages and all.

    :param contents: what ``_toc.yml`` says.
    :param notebook: a function from a notebook's name to its text with outputs.
    """
    from study.book import front_page  # here: it reads the run records, which is slow to begin with

    files = {}
    for path in [ROOT / "study" / "book" / "site_extension.py", *ROOT.glob("book/**/*")]:
        if path.is_file():
            files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    # Jupyter Book looks for styles and scripts in _static beside the settings.
    files = {name.removeprefix("book/") if name.startswith("book/_static/") else name: content for name, content in files.items()}
    files["_static/two_networks.png"] = files["book/figures/two_networks.png"]  # what others show beside a link to the book
    pages = {"_config.yml": yaml.safe_dump(with_buttons(yaml.safe_load((ROOT / "_config.yml").read_text())), sort_keys=False)}
    pages |= {name: with_modules(text.decode()) for name, text in files.items() if name.startswith("book/reference/")}
    pages["_toc.yml"] = yaml.safe_dump(contents, sort_keys=False)
    for name in ("book/intro.md", "book/reproducibility.md"):
        pages[name] = front_page.with_answers(files[name].decode())
    pages |= {
        f"{name}.ipynb": with_roles(notebook(Path(name).name)) for name in listed_files(contents) if name.startswith("notebooks/")
    }
    return files | {name: text.encode() for name, text in pages.items()}


def stage(files, target):
    """Make ``target`` hold these files and no others. Those that are the same are not touched, so Sphinx does not reread them."""
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in files:
            path.unlink()


def copy_records(html):
    """Put the run records beside the pages, where the result pages' links lead, and what the picture that one can touch loads."""
    from study.book import browser

    scripts = browser.scripts() | {"patch.js": (ROOT / "book" / "patch" / "patch.js").read_text(encoding="utf-8")}
    target = html / "_static" / "patch"  # not one of the scripts that every page loads
    target.mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (target / name).write_text(text, encoding="utf-8")
    shutil.rmtree(html / "results", ignore_errors=True)
    for path in sorted(ROOT.glob("results/*/*.json")):
        target = html / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
