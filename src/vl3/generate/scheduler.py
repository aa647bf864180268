"""What is fed when: answers go on at every tick, and prompts are read in turns, a stretch at each.

So a long video stalls nobody's answer for longer than one portion of it takes. A failure is its own request's alone.
"""

from vl3.config import configclass
from vl3.errors import UserError
from vl3.generate.answer import Job
from vl3.generate.engine import PREFILL_CHUNK, Engine
from vl3.generate.prefixes import PrefixStore, longest_match
from vl3.generate.sight import VISION_CHUNK
from vl3.log import logger


@configclass
class SchedulerConfig:
    """What may be going on at once, and in what portions."""

    max_running: int = 8
    """Requests that are read or answered at once."""
    prefill_chunk: int = 256
    """Prompt tokens that are read between two tokens of others' answers."""
    vision_chunk: int = 4096
    """Patches that are encoded between two tokens of others' answers."""
    prefill_alone: int = PREFILL_CHUNK
    """Prompt tokens that are read at a time while no answer is under way."""
    vision_alone: int = VISION_CHUNK
    """Patches that are encoded at a time while no answer is under way."""
    kv_bytes: int = 4 << 30
    """Most memory for the keys and values of running requests."""
    prefix_bytes: int = 0
    """Most memory for the keys and values of finished requests, for those that begin alike."""

    def __post_init__(self) -> None:
        for name in ("max_running", "prefill_chunk", "vision_chunk", "prefill_alone", "vision_alone", "kv_bytes"):
            if vars(self)[name] < 1:
                raise UserError(f"{name} must be at least 1")


DEFAULTS = SchedulerConfig()


class Scheduler:
    """Runs jobs on an engine, side by side. For one thread."""

    def __init__(self, engine: Engine, config: SchedulerConfig = DEFAULTS) -> None:
        self.engine = engine
        self.config = config
        self.jobs: list[Job] = []
        """Those not ended, oldest first."""
        self.prefixes = PrefixStore(config.prefix_bytes)
        self._ticks = 0

    def has_room(self, num_tokens: int) -> bool:
        """Whether a request of so many tokens, its answer included, may join now.

        UserError for one that is too large even alone.
        """
        per_token = self.engine.model.new_cache(1).num_bytes
        if num_tokens * per_token > self.config.kv_bytes:
            raise UserError(
                f"{num_tokens} tokens need {num_tokens * per_token / 1e6:.0f} MB of keys and values, more than the "
                f"limit of {self.config.kv_bytes / 1e6:.0f} MB: use fewer frames or visual tokens, or a shorter answer"
            )
        taken = sum(job.running.most_tokens for job in self.jobs)
        return len(self.jobs) < self.config.max_running and (taken + num_tokens) * per_token <= self.config.kv_bytes

    def add(self, job: Job) -> None:
        """Lets a job join."""
        self.jobs.append(job)

    def remove(self, job: Job) -> None:
        """Drops a job; its memory is free at once, but for what may be kept for others."""
        self.jobs.remove(job)
        if self.config.prefix_bytes and job.running.cache.length:
            self._keep(job)

    def tick(self) -> list[Job]:
        """One step of all answers and one portion of one prompt. Gives the jobs that ended, which are dropped."""
        self._ticks += 1
        prompting = [job for job in self.jobs if job.running.prompt_left]
        work = [(job, 1) for job in self.jobs if not job.running.prompt_left]
        if prompting:
            job = self._whose_turn(prompting)
            try:
                num_tokens = self._read_some(job, alone=not work)
            except Exception as error:
                job.fail(error)
                num_tokens = 0
            if num_tokens:
                work.append((job, num_tokens))
        if work:
            self._feed(work)
        ended = [job for job in self.jobs if job.ended]
        self.jobs = [job for job in self.jobs if not job.ended]
        for job in ended:
            if job.error is None and self.config.prefix_bytes:
                self._keep(job)
        self.engine.vision.trim()
        return ended

    def _keep(self, job: Job) -> None:
        """Stores what a request has read. Whatever comes of that, its answer and all others stand."""
        try:
            self.prefixes.add(job.running.known)
        except Exception:
            logger.exception("keys and values of a request could not be kept for later ones")

    def _whose_turn(self, prompting: list[Job]) -> Job:
        """By turns the one with least left to read, so that short questions are quick, and the oldest, so that long
        ones get done."""
        return prompting[0] if self._ticks % 2 else min(prompting, key=lambda job: job.running.prompt_left)

    def _read_some(self, job: Job, alone: bool) -> int:
        """Gets the next stretch of a prompt ready to be fed: its length, or 0 when only frames were encoded."""
        self._reuse(job)
        chunk = self.config.prefill_alone if alone else self.config.prefill_chunk
        num_tokens = min(chunk, job.running.prompt_left)
        max_patches = self.config.vision_alone if alone else self.config.vision_chunk
        return 0 if self.engine.look(job.running, num_tokens, max_patches) else num_tokens

    def _reuse(self, job: Job) -> None:
        """Takes over or copies what another request, finished or running, has read of the same prompt."""
        running = job.running
        others = [other.running.known for other in self.jobs if other is not job]
        # the last token of a prompt is fed in any case, since what follows from it is wanted
        prefix, length = longest_match(running.marks[:-1], [*self.prefixes.prefixes, *others])
        if prefix is not None and length > running.cache.length:
            job.num_cached_tokens += length - running.cache.length
            running.cache = self.prefixes.give(prefix, length, running.cache)

    def _feed(self, work: list[tuple[Job, int]]) -> None:
        """One pass for all; when it fails, one for each, so that only who is at fault fails."""
        try:
            scores = self.engine.feed([(job.running, num_tokens) for job, num_tokens in work])
        except Exception as error:
            if len(work) == 1:
                work[0][0].fail(error)
                return
            for item in work:
                self._feed([item])
            return
        for (job, _), logits_V in zip(work, scores, strict=True):
            if logits_V is not None:
                job.accept(logits_V)
