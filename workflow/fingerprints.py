"""What the outcome of a run depends on besides its options, as short digests: when one changes, Snakemake runs it again."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = (".jpg", ".jpeg", ".png")


def _is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _without_docstrings(tree):
    """A module's syntax tree without docstrings; comments and layout are no part of it anyway."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return tree


def _path(module, root):
    base = Path(root).joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def imported_modules(module, root=ROOT):
    """Names of all modules of palcore that a module imports, itself and what those import included."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        path = _path(name, root)
        if name in found or path is None:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            waiting += [name for name in names if name.split(".")[0] == "palcore"]
    return sorted(found)


@cache
def code_fingerprint(dataset, root=ROOT):
    """Twelve digits of the code that a training run on this data set executes. Docstrings and comments do not count."""
    digest = hashlib.sha256()
    for module in sorted({*imported_modules("palcore.runs.training", root), *imported_modules(f"palcore.data.{dataset}", root)}):
        digest.update(module.encode())
        digest.update(ast.dump(_without_docstrings(ast.parse(_path(module, root).read_text()))).encode())
    return digest.hexdigest()[:12]


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
