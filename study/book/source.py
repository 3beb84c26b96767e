"""What the book is made of: its chapters, the pages that are written while it is built, and its settings."""

import ast
import os
import re
import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "palcore": (
        "The method",
        "Each equation of the paper, and what else is asked of a network: where it looks, and how well it answers.",
        ["heatmaps", "attribution", "steps", "splitting", "logits", "soundness", "models", "face_resnet", "losses", "related_maps"],
    ),
    "palcore.data": ("The data", "Data sets, a module each, and whatever is done to a face between its file and the network.", []),
    "palcore.runs": (
        "The runs",
        "One training from its options to its record, and what a saved run is used for.",
        ["options", "training"],
    ),
}
"""The packages of palcore in the order of the reference: title, sentence, and the modules that come first."""


def modules(root=ROOT):
    """Every public module of palcore, by name, in alphabetical order."""
    names = []
    for path in sorted(root.glob("palcore/**/*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return sorted(names)


def grouped(names):
    """``{package: its modules}``, packages and modules in the order of the reference. A package that ``PARTS`` lacks comes last."""
    packages = list(PARTS) + sorted({name for name in names if name.count(".") == 1 and f"{name}." in " ".join(names)} - set(PARTS))
    groups = {package: [] for package in packages}
    for name in names:
        groups[max((package for package in packages if f"{name}.".startswith(f"{package}.")), key=len)].append(name)
    for package, members in groups.items():
        first = [package, *(f"{package}.{name}" for name in PARTS.get(package, ("", "", []))[2])]
        members.sort(key=lambda name: (first.index(name) if name in first else len(first), name))
    return {package: members for package, members in groups.items() if members}


def first_sentence(module, root=ROOT):
    """The first line of a module's docstring."""
    path = root.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def reference_page(module):
    """The page of one module of the API reference."""
    lines = [f"# {module}", "", "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(lines)


def reference_contents(groups, root=ROOT):
    """What the reference's own page lists: each part with a sentence, each module with its first line."""
    lines = []
    for package, members in groups.items():
        title, sentence, _ = PARTS.get(package, (package, "", []))
        lines += [f"## {title}: `{package}`", "", sentence, ""]
        lines += [f"[{name}](reference/{name}.md)\n: {first_sentence(name, root)}\n" for name in members]
    return "\n".join(lines)


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
    files = [contents["root"]] if "root" in contents else []
    for key in ("parts", "chapters", "sections"):
        for entry in contents.get(key, []):
            files += [entry["file"]] if "file" in entry else []
            files += listed_files(entry)
    return files


def source_files(contents, notebook, root=ROOT):
    """``{path in the book's source folder: bytes}`` of the whole book, generated pages and all.

    :param contents: what ``_toc.yml`` says; the pages of the reference are put into it.
    :param notebook: a function from a notebook's name to its text with outputs.
    :param root: the repository.
    """
    from study.book import front_page  # here: it reads the run records, which is slow to begin with

    files = {}
    for path in [root / "study" / "book" / "site_extension.py", *root.glob("book/**/*")]:
        if path.is_file():
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    # Jupyter Book looks for styles and scripts in _static beside the settings.
    files = {name.removeprefix("book/") if name.startswith("book/_static/") else name: content for name, content in files.items()}
    files["_static/two_networks.png"] = files["book/figures/two_networks.png"]  # what others show beside a link to the book
    groups = grouped(modules(root))
    pages = {"_config.yml": yaml.safe_dump(with_buttons(yaml.safe_load((root / "_config.yml").read_text())), sort_keys=False)}
    for part in contents["parts"]:
        for chapter in part["chapters"]:
            if chapter["file"] == "book/reference":
                chapter["sections"] = [{"file": f"book/reference/{module}"} for members in groups.values() for module in members]
                pages |= {f"{section['file']}.md": reference_page(Path(section["file"]).name) for section in chapter["sections"]}
                pages["book/reference.md"] = f"{files['book/reference.md'].decode()}\n{reference_contents(groups, root)}"
    pages["_toc.yml"] = yaml.safe_dump(contents, sort_keys=False)
    pages["book/intro.md"] = front_page.with_answer(files["book/intro.md"].decode(), root / "results")
    pages["book/reproducibility.md"] = front_page.with_table(files["book/reproducibility.md"].decode(), root / "results")
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


def copy_records(html, root=ROOT):
    """Put the run records beside the pages, where the result pages' links lead, and what the picture that one can touch loads."""
    from study.book import browser

    scripts = browser.scripts(root / "results" / "browser")
    if scripts:
        scripts["patch.js"] = (ROOT / "book" / "patch" / "patch.js").read_text(encoding="utf-8")
    target = html / "_static" / "patch"  # not one of the scripts that every page loads
    target.mkdir(parents=True, exist_ok=True)
    for name, text in scripts.items():
        (target / name).write_text(text, encoding="utf-8")
    shutil.rmtree(html / "results", ignore_errors=True)
    for path in sorted(root.glob("results/*/*.json")):
        target = html / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
