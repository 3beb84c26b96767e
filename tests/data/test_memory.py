import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from palcore.data import batches, load, memory
from palcore.data.memory import keep_freed_memory

glibc = sys.platform == "linux" and (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")


class Library(SimpleNamespace):
    """A C library with some functions, that notes what ``mallopt`` is called with."""


def replaced(monkeypatch, answer=1, version="glibc 2.36", **functions):
    calls = []
    library = Library(mallopt=lambda *arguments: calls.append(arguments) or answer, **functions)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(memory.os, "confstr", lambda name: version, raising=False)
    return calls


def test_glibc_is_told_to_keep_what_is_freed(monkeypatch):
    calls = replaced(monkeypatch)
    assert keep_freed_memory() == "glibc: freed memory kept"
    assert calls == [(-1, 2**31 - 1), (-3, 32 * 2**20)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mallctl": None}, "nothing: jemalloc in its place"),
        ({"tc_version": None}, "nothing: tcmalloc in its place"),
        ({"version": None}, "nothing: not glibc"),  # musl
        ({"version": ""}, "nothing: not glibc"),
    ],
)
def test_other_allocators_are_left_alone(monkeypatch, changes, words):
    calls = replaced(monkeypatch, **changes)
    assert keep_freed_memory() == words
    assert calls == []


def test_a_refusal_is_said(monkeypatch):
    replaced(monkeypatch, answer=0)
    assert keep_freed_memory() == "nothing: glibc refused"


@pytest.mark.parametrize("error", [TypeError, OSError])
def test_without_a_c_library_to_ask_nothing_is_done(monkeypatch, error):
    def refuse(name):
        raise error

    monkeypatch.setattr(memory.ctypes, "CDLL", refuse)
    assert keep_freed_memory() == "nothing: not glibc"


@pytest.mark.parametrize("error", [AttributeError, ValueError])
def test_without_a_version_of_glibc_nothing_is_done(monkeypatch, error):
    calls = replaced(monkeypatch)

    def refuse(name):
        raise error

    monkeypatch.setattr(memory.os, "confstr", refuse, raising=False)
    assert keep_freed_memory() == "nothing: not glibc"
    assert calls == []


EFFECT = """
import ctypes, resource
import numpy as np
from palcore.data import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 17)  # 1 MiB taken and freed; NumPy asks for huge pages from 4 MiB on
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

library = ctypes.CDLL(None)
for option in (memory.TRIM_THRESHOLD, memory.MMAP_THRESHOLD):
    assert library.mallopt(option, 128 << 10)  # as a generator dataset does when it is made
assert faults() > 20 * 200
memory.keep_freed_memory()
faults()
assert faults() < 200
"""


def test_it_undoes_what_tensorflow_did_to_the_allocator():
    if not glibc:
        assert memory.keep_freed_memory().startswith("nothing: ")
        return
    # In a process of its own: the other threads of this one take memory too.
    subprocess.run([sys.executable, "-c", EFFECT], check=True)


def test_each_batch_does_it(monkeypatch):
    called = []
    monkeypatch.setattr(batches, "keep_freed_memory", lambda: called.append(1))
    some = batches.FaceBatches(load("synthetic", image_size=32, count=14), 7)
    for index in (0, 1):
        some[index]
        assert len(called) == index + 1
