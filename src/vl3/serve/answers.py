"""What the server answers with: OpenAI's objects, and what vl3 adds to them."""

import time
import uuid
from typing import Any, Literal

from pydantic import BaseModel, Field

from vl3.generate import Answer
from vl3.generate.answer import TokenLogprobs

FinishReason = Literal["stop", "length"]


class PromptTokens(BaseModel):
    """Of a prompt's tokens."""

    cached_tokens: int = Field(description="those that had been read before")
    visual_tokens: int = Field(description="vl3: after pruning; part of prompt_tokens")
    visual_tokens_before_pruning: int = Field(description="vl3")


class Usage(BaseModel):
    """Tokens of a request and its answers."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens


class Seen(BaseModel):
    """vl3: what the model looked at, and how long it took."""

    frame_times_s: list[list[float]] = Field(description="for each image or video, the times of the frames seen")
    timings_s: dict[str, float]


class TopLogprob(BaseModel):
    """A likely token."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token of the answer."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """The tokens of an answer."""

    content: list[TokenLogprob]
    refusal: None = None


class AssistantMessage(BaseModel):
    """What the model said."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """One answer."""

    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """The body that answers /v1/chat/completions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    vl3: Seen


class CompletionLogprobs(BaseModel):
    """The tokens of an answer, in the older form."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """One answer."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason


class Completion(BaseModel):
    """The body that answers /v1/completions."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage


class Model(BaseModel):
    """A model that the server runs."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "vl3"
    max_model_len: int = Field(description="vl3: most tokens of a prompt and its answer together")


class Models(BaseModel):
    """The models of a server."""

    object: Literal["list"] = "list"
    data: list[Model]


class FileObject(BaseModel):
    """An uploaded file."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class Files(BaseModel):
    """The uploads of a caller."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    has_more: bool = False


class Deleted(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


class Health(BaseModel):
    """The state of a server."""

    status: Literal["ok", "draining"]


class Head:
    """What all parts of one answer share: id, time and model."""

    def __init__(self, prefix: str, model: str) -> None:
        self.fields: dict[str, Any] = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }


def usage(prompts: list[Answer], answers: list[Answer]) -> Usage:
    """Tokens of a request: each prompt once, however many answers it has."""
    prompt_tokens = sum(answer.num_prompt_tokens for answer in prompts)
    completion_tokens = sum(answer.num_generated_tokens for answer in answers)
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        prompt_tokens_details=PromptTokens(
            cached_tokens=sum(answer.num_cached_tokens for answer in prompts),
            visual_tokens=sum(answer.num_visual_tokens for answer in prompts),
            visual_tokens_before_pruning=sum(answer.num_visual_tokens_unpruned for answer in prompts),
        ),
    )


def chat_logprobs(tokens: list[TokenLogprobs]) -> ChatLogprobs:
    """Tokens in the form of chat completions."""
    content = [
        TokenLogprob(
            token=token.text,
            logprob=token.logprob,
            bytes=_bytes(token.text),
            top_logprobs=[TopLogprob(token=top.text, logprob=top.logprob, bytes=_bytes(top.text)) for top in token.top],
        )
        for token in tokens
    ]
    return ChatLogprobs(content=content)


def _bytes(text: str) -> list[int] | None:
    """UTF-8; None where the token is part of a character, which its text does not tell."""
    return None if "\N{REPLACEMENT CHARACTER}" in text else list(text.encode())


def completion_logprobs(tokens: list[TokenLogprobs], offset: int = 0) -> CompletionLogprobs:
    """Tokens in the older form; `offset`: characters of the answer before them."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return CompletionLogprobs(
        tokens=[token.text for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        top_logprobs=[{top.text: top.logprob for top in token.top} for token in tokens],
        text_offset=offsets,
    )


def finish_reason(answer: Answer) -> FinishReason:
    """How an answer ended."""
    return "stop" if answer.finish_reason == "stop" else "length"


def seen(answer: Answer) -> Seen:
    """What the model looked at."""
    return Seen(frame_times_s=answer.frame_times_s, timings_s=answer.timings_s)
