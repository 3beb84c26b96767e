"""The door for files that others made: regular files only, their size looked at first, and one sentence for any fault."""

import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

PACKED = 100
"""How much larger than its file a packed table may be: text packs to a fifth or so, a file of zeros to a thousandth."""

SMALL = 2**26
"""Bytes of the largest file that is read in one piece, unless its reader says otherwise."""


def one_line(problem: BaseException) -> str:
    """What an error of a library's says, which may have several lines."""
    return " ".join(str(problem).split())


@contextmanager
def opened(path: str | Path, what: str, most: int | None = None) -> Iterator[io.BufferedReader]:
    """A regular file (or a link to one), open for reading.

    :param what: it is, for the sentences, such as ``image file``.
    :param most: bytes that it may have; None for any number.
    :raises FileNotFoundError: where there is none, or a folder, a pipe or a device of that name, which are never opened.
    :raises ValueError: where it may not be read, or is larger.
    """
    try:
        state = os.stat(path)
        file = open(path, "rb") if stat.S_ISREG(state.st_mode) else None  # noqa: SIM115
    except FileNotFoundError:
        gone = f"{path} is a link to a file that is not there" if os.path.islink(path) else f"no {what} {path}"
        raise FileNotFoundError(f"{gone}: check the path") from None
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
    """A file's text, with or without a byte order mark.

    :raises ValueError: also where it is no UTF-8.
    """
    try:
        return read_bytes(path, what, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{what} {path} is no text: it must be UTF-8") from None


def read_array(path: str | Path, what: str, most: int = SMALL) -> np.ndarray:
    """The array of a ``.npy`` file, whose header must claim no more than the file holds; never a pickle.

    :raises ValueError: also for anything else than one whole array of numbers or texts.
    """
    content = read_bytes(path, what, most)
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = header(file)
        claimed = int(np.prod([int(side) for side in shape], dtype=object)) * kind.itemsize
        if kind.hasobject or claimed != len(content) - file.tell():
            held = f"{len(content) - file.tell():,} bytes of {claimed:,}"
            raise ValueError("it holds objects" if kind.hasobject else f"it holds {held}")
        values = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        values.tolist()  # a text may have characters that there are none of
        return values
    except Exception as problem:  # damaged bytes make NumPy raise whatever its parts raise
        raise ValueError(f"{what} {path} cannot be read ({one_line(problem)}): it must be a whole .npy file") from None


class _Bounded(io.RawIOBase):
    """What a file unpacks to, until it is ``most`` bytes."""

    def __init__(self, file, most: int):
        self.file, self.left, self.most = file, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = self.file.readinto(buffer)
        self.left -= count
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {self.most:,} bytes")
        return count


@contextmanager
def opened_table(path: str | Path, what: str) -> Iterator[io.BufferedReader]:
    """A ``.csv`` or ``.csv.gz`` file, unpacked while it is read, by ``PACKED`` times at most."""
    with opened(path, what) as file:
        if not str(path).lower().endswith(".gz"):
            yield file
            return
        most = 2**20 + PACKED * os.fstat(file.fileno()).st_size
        with gzip.open(file) as unpacked, io.BufferedReader(_Bounded(unpacked, most)) as text:
            yield text
