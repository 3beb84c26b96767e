"""What the outcome of a run of the grid or of a chapter depends on, as digests: when one changes, it is run again."""

import ast
import hashlib
import json
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
IMAGES = (".jpg", ".jpeg", ".png")
NO_NUMBERS = ("palcore.progress",)
"""What training imports and no number depends on: a run is not run again for it, nor for what only these import."""


class Code(NamedTuple):
    """What a module's text says that matters here. Docstrings, comments and layout do not."""

    dump: str
    imports: frozenset  # dotted names of modules, and of what may be modules
    strings: frozenset  # constants, split at each slash


@cache
def _read(text, name, package=()):
    """The code of a module's text.

    :param name: of the file, for the sentence.
    :param package: parts of the name of the package that the module lies in, for imports that begin with a point.
    :raises ValueError: where it is not Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f"{name} is not Python: {error.msg} in {(error.text or '').strip()!r}") from None
    imports, strings = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            texts = [one for one in node.body if isinstance(one, ast.Expr) and isinstance(getattr(one.value, "value", None), str)]
            node.body = [statement for statement in node.body if statement not in texts]
        elif isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            imports |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    for node in ast.walk(tree):  # what is left of it: texts that stand for themselves are gone
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings |= set(node.value.split("/"))
    return Code(ast.dump(tree), frozenset(imports), frozenset(strings))


def imported(names, root=ROOT, but=()):
    """`{module of the study: its Code}` of all that importing these names executes, packages above included; but some."""
    modules, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        base = Path(root).joinpath(*name.split("."))
        places = (base.with_suffix(".py"), base / "__init__.py") if name.split(".")[0] in ("palcore", "study") else ()
        path = next((path for path in places if path.is_file()), None)
        if name in modules or name in but or path is None:
            continue
        above = name.rpartition(".")[0]
        package = name if path.name == "__init__.py" else above
        modules[name] = _read(path.read_text(), path, tuple(package.split(".")))
        waiting += [above, *modules[name].imports]
    return modules


@cache
def code_fingerprint(dataset, root=ROOT):
    """Twelve digits of the code that a training run on this data set executes. Docstrings and comments do not count."""
    digest = hashlib.sha256()
    for module, code in sorted(imported(["palcore.runs.training", f"palcore.data.{dataset}"], root, NO_NUMBERS).items()):
        digest.update(module.encode())
        digest.update(code.dump.encode())
    return digest.hexdigest()[:12]


def cells_of_code(notebook):
    """What of a notebook is executed: sources and tags of its cells of code. The words between them are not."""
    cells = [cell for cell in json.loads(Path(notebook).read_text())["cells"] if cell["cell_type"] == "code"]
    return [["".join(cell["source"]), cell["metadata"].get("tags", [])] for cell in cells]


def notebook_inputs(notebook, root=ROOT):
    """What a notebook's outputs depend on besides its own cells, from what its code says.

    The modules that it imports, directly or not, and those of the data sets that it names; the grid and the pages that link to each
    other, where these read the grid; folders of `results/` that it, or one of the study's own modules, names.

    :return: `{module: Code}`, and the files as a sorted list of paths.
    :raises ValueError: for a cell or a module that is not Python.
    """
    root = Path(root)
    # IPython's own lines, such as %matplotlib, import nothing.
    lines = "\n".join(re.sub(r"(?m)^[%!].*$", "", source) for source, _ in cells_of_code(notebook))
    code = _read(lines, f"a cell of {notebook}")
    modules = imported([*code.imports, *(f"palcore.data.{word}" for word in code.strings if word.isidentifier())], root)
    pages = [*root.glob("notebooks/results*.ipynb"), root / "notebooks" / "train.ipynb"]
    files = {*root.glob("study/*.yml"), *pages} if "study.cells" in modules else set()
    strings = code.strings.union(*(module.strings for name, module in modules.items() if name.startswith("study.")))
    folders = [folder for folder in root.glob("results/*") if {"results", folder.name} <= strings]
    files |= {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    return modules, sorted(path for path in files - {Path(notebook)} if path.is_file())


def notebook_fingerprint(notebook, root=ROOT):
    """What a notebook's outputs depend on, as a digest: while it stays, there is no need to run the notebook again."""
    modules, files = notebook_inputs(notebook, root)
    inputs = {"": json.dumps(cells_of_code(notebook)), **{module: code.dump for module, code in modules.items()}}
    for path in (*files, Path(root) / "requirements.lock"):
        text = json.dumps(cells_of_code(path)).encode() if path.suffix == ".ipynb" else path.read_bytes()
        inputs[path.relative_to(root).as_posix()] = hashlib.sha256(text).hexdigest()
    around = [sys.version_info[:2], os.environ.get("KERAS_BACKEND", "tensorflow")]
    return hashlib.sha256(json.dumps([around, inputs], sort_keys=True).encode()).hexdigest()


@cache
def data_fingerprint(data_dir):
    """Twelve digits of a data set's folder: names and sizes of all files, and the bytes of all that are no images.

    Images are not read: there may be hundreds of thousands.
    """
    digest = hashlib.sha256()
    folder = Path(data_dir).expanduser()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        if path.suffix.lower() not in IMAGES:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
