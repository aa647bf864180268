"""What the routes of one server work with."""

import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request

from vl3.errors import UserError
from vl3.generate import Answer, Options
from vl3.generate.service import Service
from vl3.serve import schema
from vl3.serve.config import ServerConfig
from vl3.serve.constraint import JsonConstraint, JsonConstraints
from vl3.serve.errors import ApiError
from vl3.serve.files import FileStore
from vl3.serve.generation import Asker, Event, Tickets, events
from vl3.serve.keys import Keys
from vl3.serve.logs import facts
from vl3.serve.media import Found, MediaRoom, clip_options
from vl3.serve.metrics import Metrics
from vl3.weights import Checkpoint


class Serving:
    """A service, its limits, files and figures."""

    def __init__(self, service: Service, checkpoint: Checkpoint, config: ServerConfig, keys: Keys) -> None:
        self.service = service
        self.checkpoint = checkpoint
        self.config = config
        self.keys = keys
        self._temporary = None if config.files_folder else tempfile.TemporaryDirectory(prefix="vl3-files-")
        folder = config.files_folder or Path(self._temporary.name if self._temporary else "")
        self.files = FileStore(folder, config.files_quota_bytes, config.files_expiry_s)
        self.media = MediaRoom(config, self.files, checkpoint)
        self.constraints = JsonConstraints(checkpoint)
        self.metrics = Metrics(service.stats, self.files.used_bytes)
        self.draining = False
        self.when_stopping: list[Callable[[], None]] = []
        """Called once when the server is told to stop."""

    def drain(self) -> None:
        """The server was told to stop: it is not ready for new requests."""
        if not self.draining:
            self.draining = True
            for call in self.when_stopping:
                call()

    def check_model(self, name: str) -> None:
        """ApiError 404 for a model that is not run here."""
        if name != self.config.model_name:
            message = f"there is no model {name[:80]!r} here, only {self.config.model_name!r}"
            raise ApiError(404, message, code="model_not_found", param="model")

    def options(self, body: schema.Generation, max_new_tokens: int) -> Options:
        """A request's settings in the engine's words. UserError for more than the model was made for."""
        options: Options = {"max_new_tokens": max_new_tokens}
        if body.stop is not None:
            options["stop"] = [body.stop] if isinstance(body.stop, str) else body.stop
        most = self.checkpoint.processor.max_tokens
        if body.max_visual_tokens is not None:
            if body.max_visual_tokens > most:
                raise UserError(f"max_visual_tokens: at most {most} here")
            options["max_tokens"] = body.max_visual_tokens
        options.update(self.media.checked(clip_options(body)))  # type: ignore[typeddict-item]
        same = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "sampling", "prune")
        options.update(body.model_dump(include=set(same), exclude_none=True))  # type: ignore[typeddict-item]
        return options

    async def ask(
        self,
        request: Request,
        conversations: Sequence[Sequence[schema.ChatMessage]],
        options: Options,
        num_choices: int,
        constraint: Callable[[], JsonConstraint | None] = lambda: None,
    ) -> AsyncGenerator[Event]:
        """Fetches media, asks the engine, and yields what comes back. Errors come before the first event, as a rule."""
        noted = facts(request.scope)
        asker, tickets, found = Asker(request, self.config.request_timeout_s), Tickets(), Found()
        try:
            located = [
                await asker.while_waiting(self.media.locate(messages, noted.owner, found)) for messages in conversations
            ]
            constraints = [await asker.while_waiting(anyio.to_thread.run_sync(constraint)) for _ in range(num_choices)]
            # in a thread, since texts are tokenised there
            await asker.while_waiting(
                anyio.to_thread.run_sync(tickets.submit, self.service, located, options, constraints)
            )
            first = True
            async for event in events(tickets.all, asker):
                if first:
                    self.metrics.first_piece_s.observe(asker.waited_s())
                    first = False
                if isinstance(event[1], Answer):
                    self._count(noted.numbers, event[1])
                yield event
        except UserError as error:
            raise found.public(error) from error
        finally:
            tickets.cancel()
            asker.close()

    def _count(self, numbers: dict[str, int | float], answer: Answer) -> None:
        self.metrics.answered(answer)
        numbers["prompt_tokens"] = answer.num_prompt_tokens
        numbers["visual_tokens"] = answer.num_visual_tokens
        numbers["generated_tokens"] = numbers.get("generated_tokens", 0) + answer.num_generated_tokens

    def close(self) -> None:
        """Deletes temporary files."""
        if self._temporary is not None:
            self._temporary.cleanup()
