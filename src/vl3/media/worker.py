"""The child process of `Decoder`: `python -m vl3.media.worker`. Requests on standard input, replies on output."""

import logging
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from typing import BinaryIO

from vl3.errors import UserError
from vl3.log import logger
from vl3.media.messages import Frame, Log, Probe, Refusal, Reply, Request
from vl3.media.reader import frames, probe_located

GRACE_S = 5.0
"""The parent kills at the time limit; this much later the system does, if the parent is gone."""


class Outbox(logging.Handler):
    """Sends replies, and log records as replies."""

    def __init__(self, pipe: BinaryIO) -> None:
        super().__init__()
        self.pipe = pipe

    def send(self, reply: Reply) -> None:
        """Writes one reply."""
        pickle.dump(reply, self.pipe, protocol=pickle.HIGHEST_PROTOCOL)
        self.pipe.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Called by `logging`."""
        self.send(Log(record.levelno, record.getMessage()))


def main() -> None:
    """Serves requests until standard input ends."""
    inbox = os.fdopen(os.dup(0), "rb")
    outbox = Outbox(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # so that a stray print cannot spoil the replies
    warnings.showwarning = lambda message, *_: logger.debug("%s", message)  # Pillow's, about files' metadata
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us by closing the pipe
    logger.addHandler(outbox)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    while True:
        try:
            request, time_limit_s = pickle.load(inbox)
        except EOFError:
            return
        _set_alarm(time_limit_s + GRACE_S)
        try:
            answer(request, outbox)
        except UserError as error:
            outbox.send(Refusal(str(error)))
        except BrokenPipeError:
            return
        _set_alarm(0)


def answer(request: Request, outbox: Outbox) -> None:
    """Sends the replies to one request."""
    if isinstance(request, Probe):
        outbox.send(probe_located(request.source, request.sampling, request.limits, request.kind))
    else:
        for slot, pixels in frames(request.info, request.size):
            outbox.send(Frame(slot, pixels))
    outbox.send(None)


def _set_alarm(seconds: float) -> None:
    """Has the system end this process then (0: never), even if it hangs in a library that keeps Python from running."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def watch_parent(parent: int) -> None:
    """Ends this process soon after its parent, also in the middle of a request."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
