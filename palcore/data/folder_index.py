"""What many small files hold, read once and kept in a few large ones, until the folder changes."""

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np

INDEX_DIR = Path("runs") / "index"
"""Where indexes are kept by default, beside the runs: a licensed folder may be read-only."""

DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError)
"""What reading an index that is not whole can raise."""


def _stamps(folder, wanted):
    """``name size time`` of each file at or below a folder, unsorted."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                state, inner = entry.stat(), entry.is_dir()
            except PermissionError:
                raise
            except OSError:  # a link to nothing, or to itself
                state, inner = entry.stat(follow_symlinks=False), False
            if inner:
                for stamp in _stamps(entry.path, wanted):
                    yield f"{entry.name}/{stamp}"
            elif wanted is None or entry.name.endswith(wanted):
                yield f"{entry.name} {state.st_size} {state.st_mtime_ns}"


def folder_signature(paths, wanted=None):
    """Sixteen hexadecimal digits that change when a file is added, removed, renamed, resized or written again.

    :param paths: files, and folders that are searched to the bottom; those that are missing count as such.
    :param wanted: ends of the names that count in folders; None for all files.
    """
    digest = hashlib.sha256()
    for path in map(Path, paths):
        if path.is_dir():
            digest.update("\n".join(sorted(_stamps(path, wanted))).encode("utf-8", "surrogateescape"))
        elif path.is_file():
            digest.update(f"{path.stat().st_size} {path.stat().st_mtime_ns}".encode())
        digest.update(f"\0{path.name}\0".encode())
    return digest.hexdigest()[:16]


def index_key(name, path):
    """``NAME-1a2b3c4d``: the name helps people, and the digits, of the whole path, tell two copies of a data set apart."""
    return f"{name}-{hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:8]}"


def _read(folder):
    """Arrays and facts of a kept index; an error of any kind where it is not whole."""
    kept = json.loads((folder / "facts.json").read_text())
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in kept["arrays"]}, kept["facts"]


def indexed(build, key, version, index_dir=None):
    """Arrays and facts from the index, or from ``build()``, which are then kept.

    An index that is damaged, cut short say, is built again, with a warning.

    :param build: returns ``(arrays, facts)``: ``{name: array}``, and what JSON can hold.
    :param key: name of what is indexed; there is one index for each.
    :param version: what ``folder_signature`` gives; an index of another version is replaced.
    :param index_dir: folder of all indexes, created where it is missing; None for ``INDEX_DIR``. Where it cannot be written, a
        warning says so and nothing is kept.
    :return: ``(arrays, facts)``, the arrays mapped from the disk.
    """
    home = Path(index_dir or INDEX_DIR) / key
    kept = home / version
    if (kept / "facts.json").is_file():
        try:
            return _read(kept)
        except DAMAGE as problem:
            warnings.warn(f"index {kept} is damaged ({problem}): it is made again from the files", stacklevel=2)
            shutil.rmtree(kept, ignore_errors=True)
    arrays, facts = build()
    draft = home / f"{version}.{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array)
        (draft / "facts.json").write_text(json.dumps({"arrays": list(arrays), "facts": facts}))
        for old in home.iterdir():
            if old.name.split(".")[0] != version:  # other processes that map it keep it until they end
                shutil.rmtree(old, ignore_errors=True)
    except OSError as problem:
        shutil.rmtree(draft, ignore_errors=True)
        warnings.warn(f"no index kept in {home} ({problem.strerror}): the files will be read again next time", stacklevel=2)
        return arrays, facts
    try:
        draft.rename(kept)
    except OSError:  # another process was faster
        shutil.rmtree(draft, ignore_errors=True)
    try:
        return _read(kept)
    except DAMAGE:  # that process's is damaged already
        return arrays, facts
