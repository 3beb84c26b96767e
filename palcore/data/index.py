"""What is read once: kept on the disk in a form that opens at once, and made again when a source has changed.

An index is a folder of ``.npy`` arrays and ``facts.json``. It is written beside its place and renamed, so that it is whole or not
there, and several processes may make it at once without a lock: one of them wins.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

INDEX_DIR = Path("runs") / "index"
"""Where indexes are kept if no other folder is given, from the working directory."""
FORM = 5  # which form indexes have; another number makes them again


def _stamps(folder: str | Path) -> Iterator[str]:
    """``name size time`` of all files below a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                state, inner = entry.stat(), entry.is_dir()
            except PermissionError:
                raise
            except OSError:  # a link to nothing, or to itself
                state, inner = entry.stat(follow_symlinks=False), False
            if inner:
                yield from (f"{entry.name}/{stamp}" for stamp in _stamps(entry.path))
            else:
                yield f"{entry.name} {state.st_size} {state.st_mtime_ns}"


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]


def signature(paths: list[Path], *options: object) -> str:
    """Sixteen hexadecimal digits that change with the options, and with names, sizes and times of any of the files.

    :param paths: files or folders, looked through with all that is below them; those that are missing count as such.
    :raises ValueError: for a folder that may not be read.
    """
    lines = [f"{FORM} {options}"]
    try:
        for path in paths:
            lines += [str(path), *(sorted(_stamps(path)) if path.is_dir() else [])]
            if path.is_file():
                lines.append(f"{path.stat().st_size} {path.stat().st_mtime_ns}")
    except PermissionError as problem:
        raise ValueError(f"no permission to read {problem.filename}: change its mode or owner") from None
    return _digest("\n".join(lines), 16)


def index_key(name: str, path: Path) -> str:
    """``NAME-1a2b3c4d``: the name helps people, and the digits, of the whole path, tell two copies of a data set apart."""
    return f"{name}-{_digest(str(path.resolve()), 8)}"


def open_index(folder: Path) -> tuple[dict[str, np.ndarray], dict]:
    """``{name: array}``, mapped from the disk, and facts of an index; an error of any kind where it is not whole."""
    kept = json.loads((folder / "facts.json").read_text())
    for name, size in kept["sizes"].items():
        if (folder / f"{name}.npy").stat().st_size != size:
            raise ValueError(f"{name}.npy has another size than it had")
    arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "r") for name in kept["sizes"]}
    return arrays, kept["facts"]


def write_index(folder: Path, arrays: dict[str, np.ndarray], facts: dict) -> None:
    """Arrays and facts, beside arrays that lie in the folder already."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    sizes = {path.stem: path.stat().st_size for path in folder.glob("*.npy")}
    (folder / "facts.json").write_text(json.dumps({"sizes": sizes, "facts": facts}))


def indexed(build: Callable[[Path], None], key: str, version: str, home: Path | None = None) -> Path:
    """The folder of an index, made by ``build(folder)`` where it is missing.

    :param build: writes its arrays into a folder, and calls ``write_index`` last.
    :param key: name of what is indexed; there is one index for each.
    :param version: what ``signature`` gives; an index of another version is replaced. Processes that have mapped it keep it.
    :param home: folder of all indexes, created where it is missing; None for ``INDEX_DIR``.
    :raises OSError: where nothing can be written to it.
    """
    place = Path(home or INDEX_DIR) / key
    kept = place / version
    if kept.is_dir():
        try:
            open_index(kept)
            return kept
        except Exception as problem:  # damaged bytes make JSON's and NumPy's readers raise whatever their parts raise
            warnings.warn(f"index {kept} is damaged ({problem}): it is made again", stacklevel=2)
            shutil.rmtree(kept, ignore_errors=True)
    try:
        place.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=place))
    except OSError as problem:
        raise OSError(f"no index can be kept in {place} ({problem.strerror}): give another folder as index_dir") from None
    try:
        build(draft)
        for old in place.iterdir():
            if not old.name.startswith(version):
                shutil.rmtree(old, ignore_errors=True)
        draft.rename(kept)
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise OSError(f"no room for the index in {place}: make some, or give a folder on another disk") from None
        if not kept.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return kept
