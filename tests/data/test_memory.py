import subprocess
import sys
from types import SimpleNamespace

from palcore.data import batches, load, memory

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
assert memory.keep_freed_memory() == "glibc: freed memory kept"
faults()
assert faults() < 200
"""


def test_it_undoes_what_tensorflow_did_to_the_allocator():
    if memory.keep_freed_memory() == "nothing: not glibc":
        assert sys.platform != "linux" or not hasattr(memory.ctypes.CDLL(None), "gnu_get_libc_version")
        return
    # In a process of its own: the other threads of this one take memory too.
    subprocess.run([sys.executable, "-c", EFFECT], check=True)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace())
    assert memory.keep_freed_memory() == "nothing: not glibc"
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace(gnu_get_libc_version=1, mallopt=lambda *values: 0))
    assert memory.keep_freed_memory() == "nothing: not glibc"


def test_each_batch_does_it(monkeypatch):
    called = []
    monkeypatch.setattr(batches, "keep_freed_memory", lambda: called.append(1))
    some = batches.FaceBatches(load("synthetic", image_size=32, count=14), 7)
    for index in (0, 1):
        some[index]
        assert len(called) == index + 1
