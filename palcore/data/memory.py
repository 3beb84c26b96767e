"""What the C library does with memory that was freed: kept for the next step, not handed back to the system and fetched again."""

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of glibc's ``malloc.h``."""

NEVER = 2**31 - 1
LARGEST = 32 << 20
"""The greatest threshold that glibc takes for blocks that it maps one by one and always hands back."""

OTHERS = {"mallctl": "jemalloc", "tc_version": "tcmalloc", "mi_version": "mimalloc"}
"""A function that only this allocator has, where it was loaded in place of glibc's."""


def _allocator(library):
    """Name of the process's allocator; None where it is neither glibc's nor one of ``OTHERS``."""
    for function, name in OTHERS.items():
        if hasattr(library, function):
            return name
    try:
        version = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # Windows, macOS, musl
        return None
    return "glibc" if version and version.startswith("glibc") and hasattr(library, "mallopt") else None


def keep_freed_memory():
    """Let glibc keep what is freed; say in words what was done.

    TensorFlow's generator dataset, which Keras makes of a ``PyDataset``, sets the trim threshold to 128 kB when it is created, and
    glibc then stops adapting its other threshold as well. Each tensor above 128 kB is handed back when it is freed, and the next
    is fetched again, page by page. Measured on ``compact`` (48 px, batches of 64, float32, without PAL) in one process on two busy
    cores, as it is and then with this, in processor time: 162,610 page faults a step and 25.2 ms a face (6.5 of them in the kernel)
    against 4,360 to 5,880 and 14.1 to 14.4 ms (0.6): 1.8 times less, for a fifth more memory (904 and 1,090 MiB).

    Tensors above 32 MiB go back all the same. Forbidding glibc to map blocks one by one (``M_MMAP_MAX`` of 0) brought no more at
    tensors of 196 MiB: 100,354 faults a step and 100,355, 0.36 to 0.41 s of a step in the kernel. A thread's own arena holds no
    block above 64 MiB. jemalloc in glibc's place (``LD_PRELOAD``), told by ``MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1`` to
    keep all, does: 311 faults and 0.004 s, in a process of its own.

    It is called in each batch, since the first dataset of a process undoes it, and that is created after Keras has looked at the
    first batch. A call takes 45 microseconds. No result changes.

    :return: ``"glibc: freed memory kept"``, or ``"nothing: "`` and why.
    """
    try:
        library = ctypes.CDLL(None)
    except (TypeError, OSError):  # Windows
        return "nothing: not glibc"
    allocator = _allocator(library)
    if allocator != "glibc":
        return f"nothing: {allocator} in its place" if allocator else "nothing: not glibc"
    if library.mallopt(TRIM_THRESHOLD, NEVER) and library.mallopt(MMAP_THRESHOLD, LARGEST):
        return "glibc: freed memory kept"
    return "nothing: glibc refused"
