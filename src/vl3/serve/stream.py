"""From the engine's events to a whole answer, or to server-sent events."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import StreamingResponse

from vl3.errors import UserError
from vl3.generate import Answer
from vl3.generate.answer import TokenLogprobs
from vl3.serve.errors import ApiError
from vl3.serve.generation import ClientGoneError, Event

STREAM = {"description": "The answer; with `stream`, events", "content": {"text/event-stream": {}}}


class EventStream(StreamingResponse):
    """Chunks as server-sent events, ended by [DONE]. An error underway is the last event, in place of it."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[dict[str, Any]]) -> None:
        super().__init__(_lines(chunks), headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


async def _lines(chunks: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[str]:
    try:
        async for chunk in chunks:
            yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        yield "data: [DONE]\n\n"
    except ClientGoneError:
        return
    except ApiError as error:
        yield f"data: {json.dumps(error.body())}\n\n"
    except UserError as error:
        yield f"data: {json.dumps(ApiError(400, str(error)).body())}\n\n"


async def started(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """The same events, once the first of them is there: what fails before it still gets a status of its own."""
    first = await anext(events)

    async def all_of_them() -> AsyncGenerator[Event]:
        yield first
        async for event in events:
            yield event

    return all_of_them()


async def gathered(events: AsyncGenerator[Event], num_answers: int) -> list[tuple[Answer, list[TokenLogprobs]]]:
    """Each answer with its tokens, in order."""
    tokens: list[list[TokenLogprobs]] = [[] for _ in range(num_answers)]
    whole: dict[int, Answer] = {}
    async for index, event in events:
        if isinstance(event, Answer):
            whole[index] = event
        else:
            tokens[index] += event.tokens
    return [(whole[index], tokens[index]) for index in range(num_answers)]
