"""`probe` and `read` in a child process: what hangs is killed, what crashes takes nothing along.

The child is a fresh interpreter that imports `vl3.media` only. Frames come back one by one, so that the child's memory
does not grow with their number.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import vl3
from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.log import logger
from vl3.media.info import DEFAULT_LIMITS, FetchLimits, InMemory, Kind, MediaInfo, Pixels
from vl3.media.messages import Frame, Log, Probe, Read, Refusal, Reply, Request
from vl3.media.reader import DEFAULT_SAMPLING, assemble, assemble_some, frames, probe_located, read, salvage
from vl3.media.source import Source, locate


class Decoder:
    """The calls of `vl3.media` with a time limit each, in seconds. For several threads: they take turns.

    The child starts with the first request, is used again, starts anew after it was killed, and ends with the parent.
    Downloads and pictures in memory are handled in the parent.
    """

    def __init__(self, time_limit_s: float = 120.0, limits: FetchLimits = DEFAULT_LIMITS) -> None:
        if not 0 < time_limit_s <= 1e6:
            raise UserError(
                f"the time limit for reading a medium must lie in (0, 1000000] seconds, not {time_limit_s:g}"
            )
        self.time_limit_s = time_limit_s
        self.limits = limits
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def probe(self, source: Source, sampling: SamplingConfig = DEFAULT_SAMPLING, kind: Kind | None = None) -> MediaInfo:
        """See `vl3.media.probe`; also a UserError when it takes too long or crashes."""
        located = locate(source, self.limits)
        if isinstance(located, InMemory):
            return probe_located(located, sampling, self.limits, kind)
        reply, *_ = self._ask(Probe(located, sampling, self.limits, kind), located.name)
        assert isinstance(reply, MediaInfo)
        return replace(reply, source=located)  # a download lives as long as this object

    def read(self, info: MediaInfo, size: tuple[int, int] | None = None) -> Pixels:
        """See `vl3.media.read`."""
        if isinstance(info.source, InMemory):
            return read(info, size)
        return assemble(info, size, self.frames(info, size))

    def salvage(self, info: MediaInfo, size: tuple[int, int] | None = None) -> tuple[MediaInfo, Pixels]:
        """See `vl3.media.salvage`."""
        if isinstance(info.source, InMemory):
            return salvage(info, size)
        return assemble_some(info, size, self.frames(info, size))

    def frames(self, info: MediaInfo, size: tuple[int, int] | None = None) -> Iterator[tuple[int, Pixels]]:
        """(k, uint8 [h, w, 3]) for the chosen frames k that decode, ascending, one at a time: whole films take no
        more memory than a frame. The time limit is for all of them; while it is iterated, other callers wait."""
        if isinstance(info.source, InMemory):
            yield from frames(info, size)
            return
        for reply in self._ask(Read(info, size), info.name):
            assert isinstance(reply, Frame)
            yield reply.slot, reply.pixels

    def sibling(self) -> Self:
        """Another decoder with the same limits and a child of its own."""
        return type(self)(self.time_limit_s, self.limits)

    def interrupt(self) -> None:
        """Breaks off what another thread is reading: its call ends with a UserError."""
        child = self._child
        if child is not None:
            child.kill()
            child.wait()

    def close(self) -> None:
        """Ends the child. The decoder may be used again."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: Request, name: str) -> Iterator[MediaInfo | Frame]:
        """The child's replies to one request, until it says that it is done."""
        with self._lock:
            child = self._start()
            late = threading.Event()

            def kill() -> None:
                late.set()
                child.kill()

            timer = threading.Timer(self.time_limit_s, kill)
            timer.daemon = True
            timer.start()
            finished = False
            try:
                yield from self._replies(child, request)
                finished = True
            except (EOFError, OSError, pickle.UnpicklingError) as error:
                self._stop()
                if late.is_set():
                    reason = f"not decoded within the limit of {self.time_limit_s:g} s"
                else:
                    reason = f"the decoder crashed on it (exit status {child.returncode})"
                raise UserError(f"{name}: {reason}; the file is damaged or too long") from error
            except UserError:
                finished = True
                raise
            finally:
                timer.cancel()
                if not finished:  # replies that nobody reads would be taken for the next request's
                    self._stop()

    def _replies(self, child: subprocess.Popen[bytes], request: Request) -> Iterator[MediaInfo | Frame]:
        assert child.stdin is not None
        assert child.stdout is not None
        pickle.dump((request, self.time_limit_s), child.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        child.stdin.flush()
        while (reply := _load(child.stdout)) is not None:
            if isinstance(reply, Log):
                logger.log(reply.level, "%s", reply.message)
            elif isinstance(reply, Refusal):
                raise UserError(reply.message)
            else:
                yield reply

    def _start(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # after a fork the child is still the other process's
            self._child, self._owner = None, os.getpid()
        if self._child is None or self._child.poll() is not None:
            # The child finds this package where the parent found it.
            paths = [str(Path(vl3.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
            self._child = subprocess.Popen(
                [sys.executable, "-m", "vl3.media.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:  # what was left to write has nobody to read it
                continue


def _load(pipe: Any) -> Reply:
    reply: Reply = pickle.load(pipe)
    return reply
