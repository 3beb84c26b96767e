"""The door for files: what others made is opened here, and what is written is there whole or not at all.

Regular files only, their size looked at first, and one sentence for any fault. NumPy is imported where it is used: Snakemake's
environment, which takes the grid's lock, lacks it.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

try:
    import fcntl
except ImportError:  # Windows, where no lock is taken
    fcntl = None

# What a file system without locks answers: Lustre without ``-o flock``, some NFS and FUSE mounts.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".webp")
"""Endings of the files that count as pictures in a folder, in capitals too."""

SMALL = 2**26  # bytes of the largest file that is read in one piece, unless its reader says otherwise
# NumPy has Python parse a header, which in 3.11 may fail where two threads do so at once (python/cpython#106905).
PARSING = threading.Lock()


class Busy(ValueError):
    """A lock is held by another process."""


def one_line(problem: BaseException) -> str:
    """What an error of a library's says, which may have several lines."""
    return " ".join(str(problem).split())


@contextmanager
def opened(path: str | Path, what: str, most: int | None = None, remedy: str = "check the path") -> Iterator[io.BufferedReader]:
    """A regular file (or a link to one), open for reading.

    :param what: it is, for the sentences, such as ``image file``.
    :param most: bytes that it may have; None for any number.
    :param remedy: what would be right where there is none.
    :raises FileNotFoundError: where there is none, or a folder, a pipe or a device of that name, which are never opened.
    :raises ValueError: where it may not be read, or is larger.
    """
    try:
        state = os.stat(path)
        file = open(path, "rb") if stat.S_ISREG(state.st_mode) else None  # noqa: SIM115
    except (FileNotFoundError, NotADirectoryError):
        gone = f"{path} is a link to a file that is not there" if os.path.islink(path) else f"no {what} {path}"
        raise FileNotFoundError(f"{gone}: {remedy}") from None
    except PermissionError:
        raise ValueError(f"no permission to read {path}: change its mode or owner") from None
    except (OSError, ValueError) as problem:  # a circle of links, a name too long or with a null byte
        raise ValueError(f"{path} cannot be read ({getattr(problem, 'strerror', problem)}): rename or replace it") from None
    if file is None:
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe or a device"
        raise FileNotFoundError(f"{path} is {kind} and no {what}: rename or remove it")
    with file:
        if most is not None and state.st_size > most:
            raise ValueError(f"{what} {path} has {state.st_size:,} bytes: at most {most:,} are read")
        yield file


def read_bytes(path: str | Path, what: str, most: int = SMALL) -> bytes:
    """All bytes of a file, see ``opened``."""
    with opened(path, what, most) as file:
        return file.read(most + 1)


def read_text(path: str | Path, what: str, most: int = SMALL) -> str:
    """A file's text in UTF-8, with or without a byte order mark."""
    try:
        return read_bytes(path, what, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{what} {path} is no text: it must be UTF-8") from None


def read_array(path: str | Path, what: str, most: int = SMALL) -> np.ndarray:
    """The array, of numbers or texts, of a ``.npy`` file; never a pickle."""
    import numpy as np

    content = read_bytes(path, what, most)
    try:
        with PARSING:
            values = np.load(io.BytesIO(content), allow_pickle=False)
        values.tolist()  # a text may have characters that there are none of
        return values
    except Exception as problem:  # damaged bytes make NumPy raise whatever its parts raise
        raise ValueError(f"{what} {path} cannot be read ({one_line(problem)}): it must be a whole .npy file") from None


def _no_number(name):
    raise ValueError(f"it has {name}, which is no number")


def read_json(path: str | Path, what: str, remedy: str = "check the path") -> Any:
    """The content of a JSON file; errors as those of ``opened``."""
    with opened(path, what, SMALL, remedy) as file:
        text = file.read()
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{path} is not a {what} ({one_line(problem)}): {remedy}") from None


def read_arrays(path: str | Path, what: str, remedy: str) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, by name; never a pickle."""
    import numpy as np

    with opened(path, what, remedy=remedy) as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception:  # whatever damaged bytes make zipfile, zlib and NumPy say
            raise ValueError(f"{what} {path} is damaged: {remedy}") from None


def pictures_of(paths: list[Path]) -> list[Path]:
    """The files among some paths, and in their place those of a folder that are pictures by their endings, in order.

    :raises FileNotFoundError: where there is none of a name, or a pipe or a device.
    :raises ValueError: for one that may not be read, or a folder without a picture.
    """
    pictures = []
    for path in map(Path, paths):
        if not path.is_dir():
            pictures.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if one.suffix.lower() in PICTURES and not one.name.startswith("."))
        if not inside:
            raise ValueError(f"no picture in folder {path}: give one with files that end in {', '.join(PICTURES)}")
        pictures += inside
    for path in pictures:
        with opened(path, "picture", remedy="give the file of a picture, or a folder of such files"):
            pass
    return pictures


@contextmanager
def whole_file(path: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """Write a file so that a crash leaves the old one or the new one, never half of one: beside it, then renamed.

    :param path: the file; where it is a link, the link is replaced.
    :param suffix: appended to its name for the draft, whose path is given to the ``with`` block.
    :raises OSError: where it can't be written, such as on a full disk; the draft is removed.
    """
    path = Path(path)
    draft = path.with_name(path.name + suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)  # of a process that was killed, or a link, which would be followed
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        # HDF5, in a full folder, may say RuntimeError where it closes a file.
        if isinstance(error, OSError | RuntimeError):
            reason = getattr(error, "strerror", None) or one_line(error)[:200]
            raise OSError(f"{path} can't be written ({reason}): make room or choose another place, then call it again") from None
        raise


def write_json(path: Path, content: Any) -> None:
    """Write a record, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: dict, compressed: bool = True) -> None:
    """Write ``{name: array}`` as an ``.npz`` file, whole or not at all."""
    import numpy as np

    with whole_file(path) as draft, draft.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


@contextmanager
def locked(path: Path, busy: str) -> Iterator[int]:
    """Hold the lock that a file stands for, which the system drops however the process ends; yields its descriptor.

    The file is made where it is missing, and never written to. Where the file system has no locks, it goes on with a note.

    :raises Busy: a ``ValueError`` with the sentence ``busy``, where another process holds it.
    :raises ValueError: where the file is a link, a pipe or the like.
    :raises OSError: where it can't be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"lock {path} is a link: remove it") from None
        raise
    with os.fdopen(descriptor, "rb"):
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"lock {path} is no regular file: remove it")
        try:
            if fcntl:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(busy) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(f"{path}: no locks on this file system ({error.strerror}): start nothing else that writes there", file=sys.stderr)
        yield descriptor
