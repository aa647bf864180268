"""Memory of the C library's allocator, kept instead of given back after every tensor.

On Linux, glibc returns large blocks to the system as soon as they are freed, and the system clears them page by page
when they are asked for again. Training on a CPU frees and asks for gigabytes in every step.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_MOST_FREE = 2**31 - 1  # bytes at the end of the heap that are kept: the most that an int can say
_GROWTH = 256 << 20
_OWN_MAPPING = 1 << 30


def keep_freed_memory() -> bool:
    """Makes this process keep what it frees, for itself; whether the C library knows how (glibc does)."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    settings = ((_MMAP_THRESHOLD, _OWN_MAPPING), (_TRIM_THRESHOLD, _MOST_FREE), (_TOP_PAD, _GROWTH))
    return all(mallopt(option, value) == 1 for option, value in settings)
