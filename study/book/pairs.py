"""Fail where a notebook's pair is stale, holds outputs, lacks its parameters, or says what only the book shows: in `make lint`."""

import hashlib
import re
import sys
from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FORMATS = "ipynb,py:percent"
ROLE = re.compile(r"\{(?:eq|cite|doc|ref|term|numref|py:\w+)\}`[^`]+`")
"""What Sphinx understands, and JupyterLab shows as it stands."""


def as_source(notebook):
    """The lines of a notebook as a percent script, less the version of jupytext that wrote them."""
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)  # sorts the keys of metadata, as the .ipynb has them
    lines = jupytext.writes(notebook, fmt="py:percent").splitlines()
    return [line for line in lines if "jupytext_version:" not in line]


def _read_pairs(folder):
    names = {path.stem for path in folder.glob("*.py")} & {path.stem for path in folder.glob("*.ipynb")}
    for name in sorted(names):
        yield name, jupytext.read(folder / f"{name}.py"), nbformat.read(folder / f"{name}.ipynb", as_version=4)


def unlike_pairs(folder=NOTEBOOKS):
    """One sentence for each notebook whose halves do not say the same: what is built from one lacks what the other says."""
    halves = {path.stem for path in folder.glob("*.py")} ^ {path.stem for path in folder.glob("*.ipynb")}
    found = [f"{name} has only one half of its pair: run `make pairs`" for name in sorted(halves)]
    # Compared as scripts: the text of the cells, and their tags and other metadata.
    unlike = [name for name, source, notebook in _read_pairs(folder) if as_source(source) != as_source(notebook)]
    return [*found, *(f"{name}.ipynb is stale: run `make pairs`" for name in unlike)]


def problems(folder=NOTEBOOKS):
    """One sentence per problem, for every notebook in a folder."""
    found = unlike_pairs(folder)
    for name, _, notebook in _read_pairs(folder):
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        found += [f"{name}.ipynb has {role}, which JupyterLab shows raw: write a link to a file" for role in ROLE.findall(words)]
        if any(cell.outputs or cell.execution_count for cell in code):
            found.append(f"{name}.ipynb holds outputs: run `make pairs`")
        count = sum("parameters" in cell.metadata.get("tags", []) for cell in code)
        if count != 1:
            found.append(f"{name}.ipynb has {count} cells tagged `parameters`: it must have one")
        if notebook.metadata.get("jupytext", {}).get("formats") != FORMATS:
            found.append(f"{name}.ipynb is not paired: its jupytext formats must be {FORMATS}")
    return found


def name_cells(notebook):
    """Give each cell an id made from its text, not a random one: a pair that is written again changes only where its text did."""
    seen = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def write_pairs(folder=NOTEBOOKS):
    """Write each .ipynb from its .py, the source, without outputs. One that is right already is left alone."""
    for path in sorted(folder.glob("*.py")):
        notebook, target = jupytext.read(path), path.with_suffix(".ipynb")
        if target.exists():
            old = nbformat.read(target, as_version=4)
            held = any(cell.get("outputs") or cell.get("execution_count") for cell in old.cells)
            if not held and as_source(old) == as_source(notebook):
                continue
        name_cells(notebook)
        jupytext.write(notebook, target)
        print(f"wrote {target.name}")


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write_pairs()
    found = problems()
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
