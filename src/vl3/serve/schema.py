"""What a request may say. OpenAI's fields; those that vl3 adds are marked "vl3:"."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_CHOICES = 8
MOST_TOP_LOGPROBS = 20


class Strict(BaseModel):
    """No unknown fields: a misspelt option must not be ignored. No NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Clip(Strict):
    """Which frames of a video are looked at."""

    fps: float | None = Field(None, ge=0.001, le=1000, description="vl3: frames a second of a video")
    max_frames: int | None = Field(None, ge=1, description="vl3: most frames of a video")
    num_frames: int | None = Field(None, ge=1, description="vl3: exactly so many frames, evenly spread")
    start: float | None = Field(None, ge=0, description="vl3: look at a video from here on, in seconds")
    end: float | None = Field(None, gt=0, description="vl3: look at a video up to here, in seconds")

    @model_validator(mode="after")
    def _in_order(self) -> "Clip":
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"end ({self.end:g}) must come after start ({self.start:g})")
        return self


# ------------------------------------------------------------------------------------------------- parts of messages


class TextPart(Strict):
    """Text."""

    type: Literal["text", "input_text"]
    text: str
    cache_control: dict[str, Any] | None = Field(None, description="taken and ignored")


class ImageUrl(Strict):
    """Where an image is."""

    url: str = Field(min_length=1)
    detail: Literal["auto", "low", "high"] | None = Field(None, description="taken and ignored: see max_visual_tokens")


class ImagePart(Strict):
    """An image: http(s) or data: URL, or a local file where the server allows it."""

    type: Literal["image_url"]
    image_url: ImageUrl | str


class InputImagePart(Strict):
    """An image, in the form of the Responses API."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high"] | None = Field(None, description="taken and ignored: see max_visual_tokens")


class VideoUrl(Clip):
    """Where a video is."""

    url: str = Field(min_length=1)


class VideoPart(Strict):
    """A video: http(s) or data: URL, or a local file where the server allows it."""

    type: Literal["video_url"]
    video_url: VideoUrl | str


class InputVideo(Clip):
    """A video: one of data, url and file_id."""

    data: str | None = Field(None, description="base64")
    format: str | None = Field(None, description="taken and ignored: the file says what it is")
    url: str | None = None
    file_id: str | None = None


class InputVideoPart(Strict):
    """A video in the request itself, in the form that OpenAI's input_audio has."""

    type: Literal["input_video"]
    input_video: InputVideo


class FileRef(Clip):
    """An uploaded file, or a file as a data: URL."""

    file_id: str | None = None
    file_data: str | None = Field(None, description="a data: URL, or base64")
    filename: str | None = None


class FilePart(Strict):
    """An image or video by the id that its upload gave."""

    type: Literal["file"]
    file: FileRef


Part = Annotated[
    TextPart | ImagePart | InputImagePart | VideoPart | InputVideoPart | FilePart, Field(discriminator="type")
]


class ChatMessage(Strict):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = Field(None, description="taken and ignored")
    refusal: str | None = Field(None, description="taken and ignored")


def user_turn(text: str) -> ChatMessage:
    """A question without media."""
    return ChatMessage(role="user", content=text, name=None, refusal=None)


# ------------------------------------------------------------------------------------------------------------ requests


class JsonSchema(Strict):
    """A schema that the answer must satisfy."""

    name: str = "answer"
    description: str | None = None
    schema_: dict[str, Any] = Field({}, alias="schema")
    strict: bool | None = Field(None, description="taken and ignored: the answer always satisfies the schema")


class TextFormat(Strict):
    """Plain text."""

    type: Literal["text"]


class JsonObjectFormat(Strict):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(Strict):
    """JSON after a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(Strict):
    """What a stream holds besides text."""

    include_usage: bool | None = False
    include_obfuscation: bool | None = Field(None, description="taken and ignored")


Stop = Annotated[str, Field(min_length=1, max_length=200)]


class Generation(Clip):
    """What both kinds of requests share."""

    model: str
    temperature: float | None = Field(None, ge=0, le=2, description="default: 0, the likeliest tokens")
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, le=1_000_000, description="vl3: sample from so many likeliest tokens")
    min_p: float | None = Field(None, ge=0, le=1, description="vl3: drop tokens below this share of the likeliest's")
    repetition_penalty: float | None = Field(None, ge=0.01, le=100, description="vl3: above 1, repeat less")
    seed: int | None = Field(None, ge=-(2**62), lt=2**62, description="makes sampling repeatable")
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    n: int | None = Field(1, ge=1, le=MOST_CHOICES)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    sampling: Literal["authors", "transformers"] | None = Field(None, description="vl3: how frames are chosen")
    max_visual_tokens: int | None = Field(None, ge=1, description="vl3: most visual tokens, before pruning")
    prune: str | None = Field(None, max_length=40, description="vl3: published, off, grey=2, keep=0.5, budget=4000")
    # fields of OpenAI's that change nothing here
    user: str | None = Field(None, description="taken and ignored")
    metadata: dict[str, Any] | None = Field(None, description="taken and ignored")
    store: bool | None = Field(None, description="taken and ignored")
    service_tier: str | None = Field(None, description="taken and ignored")
    safety_identifier: str | None = Field(None, description="taken and ignored")
    prompt_cache_key: str | None = Field(None, description="taken and ignored")
    # fields of OpenAI's that would change something; only their neutral values are taken
    frequency_penalty: Literal[0] | None = Field(None, description="only 0: see repetition_penalty")
    presence_penalty: Literal[0] | None = Field(None, description="only 0: see repetition_penalty")
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = Field(None, description="only empty")


class ChatRequest(Generation):
    """The body of /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(None, ge=1, description="most tokens of the answer; default: 512")
    max_completion_tokens: int | None = Field(None, ge=1, description="the newer name of max_tokens")
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=MOST_TOP_LOGPROBS)
    response_format: ResponseFormat | None = None
    modalities: list[Literal["text"]] | None = Field(None, description="only text")
    tools: Annotated[list[Any], Field(max_length=0)] | None = Field(None, description="not supported: only empty")
    tool_choice: Literal["none", "auto"] | None = Field(None, description="there are no tools")
    parallel_tool_calls: bool | None = Field(None, description="there are no tools")

    @model_validator(mode="after")
    def _fits(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.messages[-1].role == "assistant":
            raise ValueError("the last message is the assistant's; end with a question of the user")
        return self


Prompt = Annotated[str, Field(min_length=1)]


class CompletionRequest(Generation):
    """The body of /v1/completions. The prompt is put to the model as a user's turn, since it is a chat model."""

    prompt: Prompt | Annotated[list[Prompt], Field(min_length=1, max_length=MOST_CHOICES)]
    max_tokens: int | None = Field(None, ge=1, description="most tokens of the answer; default: 16")
    logprobs: int | None = Field(None, ge=0, le=MOST_TOP_LOGPROBS)
    echo: Literal[False] | None = Field(False, description="not supported")
    suffix: Literal[""] | None = Field(None, description="not supported")
    best_of: Literal[1] | None = Field(None, description="not supported")
