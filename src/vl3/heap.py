"""Memory of the C library's allocator: kept instead of given back after every tensor, or given back at once.

On Linux, glibc returns large blocks to the system as soon as they are freed, and the system clears them page by page
when they are asked for again. Training on a CPU frees and asks for gigabytes in every step.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_MOST_FREE = 2**31 - 1  # bytes at the end of the heap that are kept: the most that an int can say
_GROWTH = 256 << 20
_OWN_MAPPING = 1 << 30
_LARGE = 1 << 20


def keep_freed_memory() -> bool:
    """Makes this process keep what it frees, for itself; whether the C library knows how (glibc does)."""
    return _set((_MMAP_THRESHOLD, _OWN_MAPPING), (_TRIM_THRESHOLD, _MOST_FREE), (_TOP_PAD, _GROWTH))


def give_back_freed_memory() -> bool:
    """Makes this process give back every large block at once, so that it holds what it uses; whether the C library
    knows how. By itself glibc keeps blocks of up to 32 MiB, and how well new ones fit between them is a matter of luck.
    """
    return _set((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, 4 * _LARGE))


def _set(*settings: tuple[int, int]) -> bool:
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all(mallopt(option, value) == 1 for option, value in settings)
