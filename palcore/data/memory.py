"""What the C library does with memory that was freed: kept for the next step, not handed back to the system and fetched again."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
NEVER = 2**31 - 1
LARGEST = 32 << 20  # the greatest threshold that glibc takes for blocks that it maps one by one and always hands back


def keep_freed_memory() -> str:
    """Let glibc keep what is freed; say what was done: ``glibc: freed memory kept``, or ``nothing: not glibc``. No result changes.

    TensorFlow's generator dataset sets the trim threshold to 128 kB when it is created: each larger tensor is handed back when it
    is freed, and the next is fetched again, page by page. It is created after the first batch was looked at, so this is called in
    each batch.
    """
    try:
        library = ctypes.CDLL(None)
        kept = library.gnu_get_libc_version and library.mallopt(TRIM_THRESHOLD, NEVER) and library.mallopt(MMAP_THRESHOLD, LARGEST)
    except (TypeError, OSError, AttributeError):  # Windows, musl, macOS
        kept = False
    return "glibc: freed memory kept" if kept else "nothing: not glibc"
