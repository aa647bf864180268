"""POST /v1/completions, the older form: prompts in place of messages."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request

from vl3.generate import Answer
from vl3.serve import answers, schema
from vl3.serve.generation import Event
from vl3.serve.serving import Serving
from vl3.serve.stream import STREAM, EventStream, gathered, started

DEFAULT_MAX_TOKENS = 16


def routes(serving: Serving) -> APIRouter:
    """The route, for one server."""
    router = APIRouter()

    @router.post(
        "/v1/completions", response_model=answers.Completion, responses={200: STREAM}, summary="Answer plain prompts"
    )
    async def completions(request: Request, body: schema.CompletionRequest) -> Any:
        """Answers one prompt or several. Each is put to the model as a user's turn, since it is a chat model."""
        serving.check_model(body.model)
        options = serving.options(body, body.max_tokens or DEFAULT_MAX_TOKENS)
        if body.logprobs is not None:
            options["logprobs"] = body.logprobs
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        conversations = [[schema.user_turn(prompt)] for prompt in prompts]
        head = answers.Head("cmpl", body.model)
        num_choices = body.n or 1
        events = serving.ask(request, conversations, options, num_choices)
        if body.stream:
            return EventStream(_chunks(await started(events), body, head))
        return _completion(await gathered(events, num_choices * len(prompts)), body, head)

    return router


def _completion(
    results: list[tuple[Answer, list[Any]]], body: schema.CompletionRequest, head: answers.Head
) -> answers.Completion:
    choices = [
        answers.CompletionChoice(
            index=index,
            text=answer.text,
            logprobs=None if body.logprobs is None else answers.completion_logprobs(tokens),
            finish_reason=answers.finish_reason(answer),
        )
        for index, (answer, tokens) in enumerate(results)
    ]
    whole = [answer for answer, _ in results]
    return answers.Completion(**head.fields, choices=choices, usage=answers.usage(whole[:: body.n or 1], whole))


async def _chunks(
    events: AsyncGenerator[Event], body: schema.CompletionRequest, head: answers.Head
) -> AsyncGenerator[dict[str, Any]]:
    """The chunks of streamed answers; at last the usage, if asked for."""

    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {**head.fields, "object": "text_completion", "choices": choices, **more}

    whole: dict[int, Answer] = {}
    lengths: dict[int, int] = {}
    async for index, event in events:
        choice = {"index": index, "text": "", "logprobs": None, "finish_reason": None}
        if isinstance(event, Answer):
            whole[index] = event
            yield chunk([{**choice, "finish_reason": answers.finish_reason(event)}])
        elif event.text or event.tokens:
            offset = lengths.get(index, 0)
            lengths[index] = offset + sum(len(token.text) for token in event.tokens)
            if body.logprobs is not None:
                choice["logprobs"] = answers.completion_logprobs(event.tokens, offset).model_dump()
            yield chunk([{**choice, "text": event.text}])
    if body.stream_options and body.stream_options.include_usage:
        ordered = [whole[index] for index in sorted(whole)]
        yield chunk([], usage=answers.usage(ordered[:: body.n or 1], ordered).model_dump())
