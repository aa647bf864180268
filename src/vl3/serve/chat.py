"""POST /v1/chat/completions."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from fastapi import APIRouter, Request

from vl3.generate import Answer
from vl3.serve import answers, schema
from vl3.serve.constraint import JsonConstraint
from vl3.serve.generation import Event
from vl3.serve.serving import Serving
from vl3.serve.stream import STREAM, EventStream, gathered, started

DEFAULT_MAX_TOKENS = 512


def routes(serving: Serving) -> APIRouter:
    """The route, for one server."""
    router = APIRouter()

    @router.post(
        "/v1/chat/completions", response_model=answers.ChatCompletion, responses={200: STREAM}, summary="Ask the model"
    )
    async def chat_completions(request: Request, body: schema.ChatRequest) -> Any:
        """Answers a conversation with images and videos; with `stream`, piece by piece as server-sent events."""
        serving.check_model(body.model)
        options = serving.options(body, body.max_completion_tokens or body.max_tokens or DEFAULT_MAX_TOKENS)
        if body.logprobs:
            options["logprobs"] = body.top_logprobs or 0
        constraint = _constraint(serving, body.response_format)
        head = answers.Head("chatcmpl", body.model)
        num_choices = body.n or 1
        events = serving.ask(request, [body.messages], options, num_choices, constraint)
        if body.stream:
            return EventStream(_chunks(await started(events), body, head))
        return _completion(await gathered(events, num_choices), body, head)

    return router


def _constraint(serving: Serving, wanted: schema.ResponseFormat | None) -> Callable[[], JsonConstraint | None]:
    match wanted:
        case schema.JsonObjectFormat():
            return lambda: serving.constraints.make({"type": "object"})
        case schema.JsonSchemaFormat(json_schema=asked):
            return lambda: serving.constraints.make(asked.schema_)
    return lambda: None


def _completion(
    results: list[tuple[Answer, list[Any]]], body: schema.ChatRequest, head: answers.Head
) -> answers.ChatCompletion:
    choices = [
        answers.ChatChoice(
            index=index,
            message=answers.AssistantMessage(content=answer.text),
            logprobs=answers.chat_logprobs(tokens) if body.logprobs else None,
            finish_reason=answers.finish_reason(answer),
        )
        for index, (answer, tokens) in enumerate(results)
    ]
    whole = [answer for answer, _ in results]
    return answers.ChatCompletion(
        **head.fields, choices=choices, usage=answers.usage(whole[:1], whole), vl3=answers.seen(whole[0])
    )


async def _chunks(
    events: AsyncGenerator[Event], body: schema.ChatRequest, head: answers.Head
) -> AsyncGenerator[dict[str, Any]]:
    """The chunks of a streamed answer: who speaks, what is said, how it ended; at last the usage, if asked for."""
    with_usage = bool(body.stream_options and body.stream_options.include_usage)

    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        empty = {"usage": None} if with_usage else {}
        return {**head.fields, "object": "chat.completion.chunk", "choices": choices, **empty, **more}

    def choice(index: int, delta: dict[str, Any], finish_reason: str | None = None, tokens: Any = None) -> Any:
        return {"index": index, "delta": delta, "logprobs": tokens, "finish_reason": finish_reason}

    for index in range(body.n or 1):
        yield chunk([choice(index, {"role": "assistant", "content": ""})])
    whole: list[Answer] = []
    async for index, event in events:
        if isinstance(event, Answer):
            whole.append(event)
            yield chunk([choice(index, {}, answers.finish_reason(event))])
        elif event.text or event.tokens:
            tokens = answers.chat_logprobs(event.tokens).model_dump() if body.logprobs else None
            yield chunk([choice(index, {"content": event.text}, tokens=tokens)])
    if with_usage:
        usage = answers.usage(whole[:1], whole).model_dump()
        yield chunk([], usage=usage, vl3=answers.seen(whole[0]).model_dump())
