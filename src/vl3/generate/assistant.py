"""The Python API: `vl3.load(model)` gives an Assistant to ask.

assistant = vl3.load()  # the small model that comes with vl3; or vl3.load("DAMO-NLP-SG/VideoLLaMA3-2B")
print(assistant.ask("clip.mp4", "What happens at the end?"))
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from vl3.chat import Message, question
from vl3.errors import UserError
from vl3.generate.answer import Answer, AnswerStream, Job
from vl3.generate.budget import Budget, scheduling
from vl3.generate.devices import pick_device, pick_dtype
from vl3.generate.engine import Engine
from vl3.generate.options import Options, Settings, limited, settings
from vl3.generate.prepare import Prepared, prepare
from vl3.generate.scheduler import Scheduler, SchedulerConfig
from vl3.generate.service import Service
from vl3.generate.service_config import ServiceConfig
from vl3.generate.sight import VisionStore
from vl3.heap import give_back_freed_memory
from vl3.media import Decoder, FetchLimits
from vl3.model import KVCache
from vl3.processing import Processor
from vl3.weights import Checkpoint, Quantize, load_checkpoint
from vl3.weights.files import fingerprint


def load(
    model: str | Path = "nano",
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Quantize | None = None,
    approximate_vision: bool = False,
    revision: str | None = None,
    limits: FetchLimits | None = None,
    time_limit_s: float = 120.0,
    budget: Budget | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> "Assistant":
    """Loads a checkpoint (hub id or folder, any layout; `nano` comes with this package) for inference.

    device: "auto" takes CUDA where there is one. dtype: "auto" keeps the stored type, or float32 on a CPU that has no
    bfloat16 arithmetic; else "float32", "bfloat16" or "float16". quantize: "int8" or "int4" packs the matrices, on a
    CPU: smaller, faster, and answers change a little (docs/quantisation.md). approximate_vision: of a clip's frames
    encode only what pruning keeps, which changes answers too (docs/performance.md). limits: what may be fetched;
    time_limit_s: the most seconds for opening or decoding one medium. budget: keeps memory within a limit. on_stage is
    told what is being done, for progress displays.
    """
    chosen = pick_device(device)
    if budget is not None:
        give_back_freed_memory()
    if on_stage is not None:
        on_stage("loading the model")
    numbers = pick_dtype(dtype, chosen)
    checkpoint = load_checkpoint(str(model), dtype=numbers, device=chosen, revision=revision, quantize=quantize)
    decoder = Decoder(time_limit_s, limits or FetchLimits())
    return Assistant(checkpoint, decoder, on_stage, budget, approximate_vision=approximate_vision)


class Assistant:
    """A loaded model with everything that answering needs."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        decoder: Decoder,
        on_stage: Callable[[str], None] | None = None,
        budget: Budget | None = None,
        *,
        approximate_vision: bool = False,
    ) -> None:
        self.checkpoint = checkpoint
        self.budget = budget
        self.decoder = decoder
        portion = scheduling(SchedulerConfig(), budget).vision_alone
        vision = VisionStore(approximate=portion if approximate_vision else 0)
        self.engine = Engine(checkpoint.model, checkpoint.eos_token_ids, vision)
        self.processor = Processor(checkpoint.processor, checkpoint.tokenizer, checkpoint.config)
        self.on_stage = on_stage or (lambda _stage: None)

    @property
    def facts(self) -> dict[str, str]:
        """What of the model decides its answers: two runs whose facts differ are not one."""
        facts = {
            "model_files": fingerprint(self.checkpoint.path),
            "dtype": str(self.checkpoint.model.dtype).removeprefix("torch."),
        }
        if self.checkpoint.quantize is not None:
            facts["quantize"] = self.checkpoint.quantize
        if self.engine.vision.approximate:
            facts["vision"] = "approximate"
        return facts

    def settings(self, options: Options) -> Settings:
        """The settings of a request: the checkpoint's own, changed by options, within the budget."""
        chosen = settings(self.checkpoint.processor, options)
        if self.budget is None:
            return chosen
        within = limited(chosen.processing, self.budget.max_tokens, self.budget.max_frames)
        return replace(chosen, processing=within)

    def ask(self, *media_then_question: Any, system: str | None = None, **options: Unpack[Options]) -> Answer:
        """`ask("a.jpg", "b.mp4", "What do they share?")`: any number of images and videos, then the question."""
        return self.chat(_question(media_then_question, system), **options)

    def chat(self, messages: Sequence[Message], **options: Unpack[Options]) -> Answer:
        """Answers the last turn of a conversation (the forms of messages are listed in `vl3.chat`)."""
        return self.stream(messages, **options).answer

    def stream(self, messages: Sequence[Message], **options: Unpack[Options]) -> AnswerStream:
        """The same, piece by piece."""
        chosen = self.settings(options)

        def pieces() -> Generator[str, None, Answer]:
            start = time.perf_counter()
            self.on_stage("reading media")
            prepared = prepare(messages, self.processor.with_config(chosen.processing), self.decoder)
            return (yield from self.run(self.job(prepared, chosen, time.perf_counter() - start)))

        return AnswerStream(pieces())

    def run(self, job: Job) -> Generator[str, None, Answer]:
        """Generates the answer of a prepared job, piece by piece."""
        scheduler = Scheduler(self.engine, scheduling(SchedulerConfig(), self.budget))
        scheduler.add(job)
        self.on_stage("looking")
        answering = False
        while not job.ended:
            scheduler.tick()
            for piece in job.take():
                if not answering:
                    self.on_stage("answering")
                answering = True
                yield piece.text
        return job.answer()

    def job(self, prepared: Prepared, chosen: Settings, media_s: float, cache: KVCache | None = None) -> Job:
        """A prepared request on its way into the engine; `cache` may hold a beginning of it."""
        return Job(self.engine, self.checkpoint.tokenizer, prepared, chosen, media_s, cache)

    def batch(
        self,
        requests: Sequence[Sequence[Message]],
        *,
        batch_size: int = 8,
        return_errors: bool = False,
        on_answer: Callable[[int, Answer | UserError], None] | None = None,
        **options: Unpack[Options],
    ) -> list[Answer | UserError]:
        """Answers many conversations, up to `batch_size` at a time; a finished one makes room for the next.

        Each answer is what `chat` gives for it alone. A request that fails raises its UserError, unless
        `return_errors`: then the error stands in its answer's place and the others go on. `on_answer` is told of each
        as it is done.
        """
        limits = ServiceConfig(max_running=max(1, batch_size), max_waiting=max(1, batch_size))
        results: list[Answer | UserError | None] = [None] * len(requests)
        with Service(self, limits) as service:
            for index, ticket in service.ask_all((messages, options) for messages in requests):
                try:
                    result: Answer | UserError = ticket.answer
                except UserError as error:
                    if not return_errors:
                        raise UserError(f"request {index}: {error}") from error
                    result = error
                results[index] = result
                if on_answer is not None:
                    on_answer(index, result)
        return [result for result in results if result is not None]

    def close(self) -> None:
        """Stops the decoding process. Also done when the interpreter ends."""
        self.decoder.close()


def _question(media_then_question: Sequence[Any], system: str | None) -> list[Message]:
    if not media_then_question or not isinstance(media_then_question[-1], str):
        raise UserError("the question comes last and is text: ask('clip.mp4', 'What happens?')")
    return question(media_then_question[:-1], media_then_question[-1], system)
