"""Fail where a notebook's pair is stale, holds outputs, or lacks its cell of parameters."""

import sys
from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def problems(folder=NOTEBOOKS):
    """One sentence per problem, for every notebook in a folder."""
    found = []
    sources = {path.stem for path in folder.glob("*.py")}
    notebooks = {path.stem for path in folder.glob("*.ipynb")}
    found += [f"{name} has only one half of its pair: run `jupytext --sync`" for name in sorted(sources ^ notebooks)]
    for name in sorted(sources & notebooks):
        source, notebook = jupytext.read(folder / f"{name}.py"), nbformat.read(folder / f"{name}.ipynb", as_version=4)
        if [(cell.cell_type, cell.source) for cell in source.cells] != [(cell.cell_type, cell.source) for cell in notebook.cells]:
            found.append(f"{name}.ipynb is stale: run `jupytext --sync notebooks/{name}.py`")
        if any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells if cell.cell_type == "code"):
            found.append(f"{name}.ipynb holds outputs: clear them")
        if not any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells):
            found.append(f"{name}.ipynb has no cell tagged `parameters`")
        if notebook.metadata.get("jupytext", {}).get("formats") != "ipynb,py:percent":
            found.append(f"{name}.ipynb is not paired: its jupytext formats must be ipynb,py:percent")
    return found


if __name__ == "__main__":
    found = problems()
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)
