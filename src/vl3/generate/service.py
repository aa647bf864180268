"""Many callers, one model: requests from any thread, answered side by side in the one thread in which the model runs.

submit -> waiting -> a decoder reads the media -> ready -> the scheduler -> pieces and the answer in the Ticket
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from vl3.chat import Message, media_of
from vl3.config import GenerationConfig
from vl3.errors import UserError
from vl3.generate.answer import Job
from vl3.generate.engine import Engine
from vl3.generate.options import Options, Settings
from vl3.generate.prepare import Prepared, prepare
from vl3.generate.scheduler import Scheduler
from vl3.generate.service_config import DEFAULTS, ServiceConfig, Stats, within
from vl3.generate.sight import VisionStore
from vl3.generate.ticket import Busy, EngineStopped, Ticket
from vl3.log import logger
from vl3.media import Decoder

if TYPE_CHECKING:
    from vl3.generate.assistant import Assistant


class Service:
    """Answers requests side by side. Its answers are those that `Assistant.chat` gives."""

    def __init__(self, assistant: "Assistant", config: ServiceConfig = DEFAULTS) -> None:
        """Starts the threads. The assistant can be used beside it; it stays open when the service is closed."""
        self.config = config = within(config, assistant.budget)
        self._settings = assistant.settings
        self._checkpoint = assistant.checkpoint
        self._processor = assistant.processor
        self._engine = Engine(
            assistant.checkpoint.model,
            assistant.checkpoint.eos_token_ids,
            VisionStore(config.vision_bytes, assistant.engine.vision.approximate),
        )
        self._scheduler = Scheduler(self._engine, config)
        self._own_decoders = [assistant.decoder.sibling() for _ in range(config.num_decoders - 1)]
        self._decoders = [assistant.decoder, *self._own_decoders]
        self._changed = threading.Condition()  # guards everything below
        self._waiting: deque[Ticket] = deque()
        self._reading: dict[Ticket, Decoder] = {}
        self._ready: deque[tuple[Ticket, Prepared, float]] = deque()
        self._running: dict[Job, Ticket] = {}
        self._draining = self._closed = False
        self._counts = dict.fromkeys(("finished", "failed", "cancelled", "prompt", "cached", "generated"), 0)
        self._threads = [threading.Thread(target=self._run_model, name="vl3 model", daemon=True)]
        self._threads += [
            threading.Thread(target=self._read_media, args=(decoder,), name="vl3 media", daemon=True)
            for decoder in self._decoders
        ]
        for thread in self._threads:
            thread.start()

    # ------------------------------------------------------------------------------------------------ for callers

    def submit(self, messages: Sequence[Message], **options: Unpack[Options]) -> Ticket:
        """A request, to be answered as soon as may be.

        UserError for absurd options or messages, Busy when the queue is full.
        """
        ticket = Ticket(self, messages, self._settings(options))
        start = time.perf_counter()
        # text needs no decoder, and does not wait behind what does
        prepared = None if media_of(messages) else prepare(messages, self._processor, self._decoders[0])
        with self._changed:
            if self._draining:
                raise Busy("the service is shutting down")
            if len(self._waiting) + len(self._reading) + len(self._ready) >= self.config.max_waiting:
                raise Busy(f"{self.config.max_waiting} requests are waiting already: try again later")
            if prepared is None:
                self._waiting.append(ticket)
            else:
                ticket.show(prepared)
                self._ready.append((ticket, prepared, time.perf_counter() - start))
            self._changed.notify_all()
        return ticket

    def ask_all(self, requests: Iterable[tuple[Sequence[Message], Options]]) -> Iterator[tuple[int, Ticket]]:
        """Submits requests as room allows, and gives (number, ticket) of each that has ended, in that order.

        A request that `submit` refuses for good comes as a ticket with its error. When the iteration is left early,
        what has not ended is cancelled.
        """
        ended: SimpleQueue[Ticket] = SimpleQueue()
        open_: dict[Ticket, int] = {}
        try:
            for number, (messages, options) in enumerate(requests):
                while not ended.empty():
                    ended_one = ended.get()
                    yield open_.pop(ended_one), ended_one
                while (ticket := self._try_submit(messages, options, may_wait=bool(open_))) is None:
                    ended_one = ended.get()
                    yield open_.pop(ended_one), ended_one
                open_[ticket] = number
                ticket.tell(ended)
            while open_:
                ticket = ended.get()
                yield open_.pop(ticket), ticket
        finally:
            for ticket in list(open_):
                ticket.cancel()

    def _try_submit(self, messages: Sequence[Message], options: Options, may_wait: bool) -> Ticket | None:
        """A ticket, which has ended already for what is refused for good; None when there is no room now."""
        try:
            return self.submit(messages, **options)
        except Busy:
            if may_wait and not self._draining:
                return None
            raise
        except Exception as error:  # whatever it is, it is this request's alone
            if not isinstance(error, UserError):
                logger.error("a request failed", exc_info=error)
            ticket = Ticket(self, messages, Settings(self._checkpoint.processor, GenerationConfig()))
            ticket.end(error)
            return ticket

    def stats(self) -> Stats:
        """What is going on now."""
        with self._changed:
            counts = self._counts
            return Stats(
                running=len(self._running),
                waiting=len(self._waiting) + len(self._reading) + len(self._ready),
                finished=counts["finished"],
                failed=counts["failed"],
                cancelled=counts["cancelled"],
                prompt_tokens=counts["prompt"],
                cached_tokens=counts["cached"],
                generated_tokens=counts["generated"],
                kv_bytes=sum(job.running.cache.num_bytes for job in self._running),
                prefix_bytes=self._scheduler.prefixes.num_bytes,
                vision_bytes=self._engine.vision.num_bytes,
                vision_hits=self._engine.vision.hits,
            )

    def drain(self, timeout_s: float) -> bool:
        """Takes no new requests and waits for those accepted; whether all ended in time."""
        with self._changed:
            self._draining = True
            return self._changed.wait_for(lambda: not self._num_open(), timeout_s)

    def close(self) -> None:
        """Cancels what has not ended, and stops the threads."""
        with self._changed:
            self._draining = self._closed = True
            tickets = [*self._waiting, *self._reading, *(ticket for ticket, *_ in self._ready), *self._running.values()]
            self._changed.notify_all()
        for ticket in tickets:
            ticket.cancel()
        for thread in self._threads:
            thread.join()
        for decoder in self._own_decoders:
            decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def forget(self, ticket: Ticket) -> None:
        """Called by a ticket that was cancelled."""
        with self._changed:
            self._counts["cancelled"] += 1
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            self._ready = deque(item for item in self._ready if item[0] is not ticket)
            if ticket in self._reading:  # under the lock: its decoder cannot have gone on to another's file
                self._reading[ticket].interrupt()
            self._changed.notify_all()

    def _num_open(self) -> int:
        return len(self._waiting) + len(self._reading) + len(self._ready) + len(self._running)

    # ------------------------------------------------------------------------------------------- the media threads

    def _read_media(self, decoder: Decoder) -> None:
        """Decodes the media of waiting requests, a little ahead of the model."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting and self._may_read_ahead()))
                if self._closed:
                    return
                ticket = self._waiting.popleft()
                self._reading[ticket] = decoder
            self._read(ticket, decoder)
            del ticket  # a thread that waits for work holds nothing

    def _read(self, ticket: Ticket, decoder: Decoder) -> None:
        start = time.perf_counter()
        prepared: Prepared | Exception
        try:
            prepared = prepare(ticket.messages, self._processor.with_config(ticket.chosen.processing), decoder)
        except Exception as error:
            prepared = error
        with self._changed:
            del self._reading[ticket]
            if isinstance(prepared, Exception):
                self._fail(ticket, prepared)
            elif not ticket.ended:
                ticket.show(prepared)
                self._ready.append((ticket, prepared, time.perf_counter() - start))
            self._changed.notify_all()

    def _may_read_ahead(self) -> bool:
        """Decoded media are large, so few may lie about."""
        return len(self._reading) + len(self._ready) < max(self.config.max_running, 2 * self.config.num_decoders)

    def _fail(self, ticket: Ticket, error: Exception) -> None:
        if ticket.end(error):
            self._counts["failed"] += 1
            if not isinstance(error, UserError):
                logger.error("a request failed", exc_info=error)
        _forget_frames(error)

    # -------------------------------------------------------------------------------------------- the model's thread

    def _run_model(self) -> None:
        try:
            while self._admit():
                self._scheduler.tick()
                self._hand_out()
        except BaseException as error:  # a fault of ours: nobody may be left waiting for an answer
            with self._changed:
                self._draining = self._closed = True
                tickets = [*self._waiting, *self._reading, *(t for t, *_ in self._ready), *self._running.values()]
                self._running.clear()
                self._changed.notify_all()
            for ticket in tickets:
                ticket.end(EngineStopped(f"the engine stopped: {error!r}"))
            raise

    def _admit(self) -> bool:
        """Waits for something to do, drops what was cancelled, and lets requests in, first come, first served."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ready or self._running)
            for job, ticket in list(self._running.items()):
                if ticket.ended:
                    self._scheduler.remove(job)
                    del self._running[job]
            if self._closed:
                return False
            while self._ready and self._let_in(*self._ready[0]):
                self._ready.popleft()
            self._changed.notify_all()
            return True

    def _let_in(self, ticket: Ticket, prepared: Prepared, media_s: float) -> bool:
        """Whether a request is done with here: running, or failed."""
        try:
            generation = ticket.chosen.generation
            if not self._scheduler.has_room(prepared.inputs.num_tokens + generation.max_new_tokens):
                return False
            job = Job(self._engine, self._checkpoint.tokenizer, prepared, ticket.chosen, media_s)
        except Exception as error:
            self._fail(ticket, error)
            return True
        self._scheduler.add(job)
        self._running[job] = ticket
        return True

    def _hand_out(self) -> None:
        """Passes new pieces and finished answers on."""
        with self._changed:
            for job, ticket in list(self._running.items()):
                for piece in job.take():
                    ticket.push(piece)
                if not job.ended:
                    continue
                del self._running[job]
                try:
                    answer = job.answer()
                except Exception as error:
                    self._fail(ticket, error)
                    continue
                if ticket.end(answer):
                    self._counts["finished"] += 1
                    self._counts["prompt"] += answer.num_prompt_tokens
                    self._counts["cached"] += answer.num_cached_tokens
                    self._counts["generated"] += answer.num_generated_tokens
            self._changed.notify_all()


def _forget_frames(error: BaseException | None) -> None:
    """Whoever keeps an error with its traceback keeps the tensors of all functions that it passed through."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
