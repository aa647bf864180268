"""A model plug-in for lmms-eval: `lmms-eval --model vl3 --model_args pretrained=nano --tasks mme`.

Found through the entry point group `lmms_eval.models` of that package (https://github.com/EvolvingLMMs-Lab/lmms-eval),
of which it takes the chat form: a task's messages with their media in place. Every medium is passed on; one that cannot
be stops the run with its name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from PIL import Image

from vl3.chat import Message
from vl3.errors import UserError
from vl3.generate import Answer, Options, load

MANIFEST = ModelManifest(model_id="vl3", chat_class_path="vl3.eval.lmms_plugin.Vl3")
"""What the entry point gives."""

BATCHES_IN_MEMORY = 8
"""Batches whose pictures are held at a time: a benchmark's do not fit."""
MEDIA_OPTIONS = ("fps", "max_frames", "num_frames", "max_tokens", "prune", "sampling")


class Vl3(lmms):  # type: ignore[misc]
    """The model, as lmms-eval asks it.

    pretrained: hub id or folder; batch_size: questions at a time. Frames and pruning are the Python API's options.
    UserError for an option that there is not.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str = "nano",
        batch_size: int | str = 1,
        device: str | None = None,
        dtype: str = "auto",
        **options: Any,
    ) -> None:
        super().__init__()
        options.pop("max_batch_size", None)  # lmms-eval gives it to every model
        unknown = sorted(set(options) - set(MEDIA_OPTIONS))
        if unknown:
            raise UserError(f"--model_args {unknown[0]}: not known; use {', '.join(MEDIA_OPTIONS)}")
        self._options: Options = {**options}  # type: ignore[typeddict-item]
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise UserError(f"--batch_size {batch_size}: give a number of questions")
        self._batch_size = int(batch_size)
        self.assistant = load(pretrained, device=device or "auto", dtype=dtype)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The answers to all requests, in order. UserError for the first that cannot be answered."""
        groups: dict[str, list[int]] = {}
        options: dict[str, Options] = {}
        for place, request in enumerate(requests):
            wanted: Options = {**self._options, **generation_options(request.args[2])}
            groups.setdefault(repr(sorted(wanted.items())), []).append(place)
            options[repr(sorted(wanted.items()))] = wanted
        answers: list[str] = [""] * len(requests)
        size = BATCHES_IN_MEMORY * self._batch_size
        parts = [(key, places[at : at + size]) for key, places in groups.items() for at in range(0, len(places), size)]
        for key, places in parts:
            messages = [self._messages(requests[place]) for place in places]
            found = self.assistant.batch(messages, batch_size=self._batch_size, **options[key])
            for place, answer in zip(places, found, strict=True):
                assert isinstance(answer, Answer)
                answers[place] = answer.text
        return answers

    def _messages(self, request: Any) -> list[Message]:
        """What a request asks."""
        _, to_messages, _, number, task, split = request.args
        return converted(to_messages(self.task_dict[task][split][number]))

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:  # noqa: ARG002
        """Not offered: tasks that compare likelihoods cannot be run."""
        raise UserError("vl3 generates answers; tasks that compare likelihoods (multiple_choice output) cannot be run")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:  # noqa: ARG002
        """Not offered."""
        raise UserError("vl3 is asked one round at a time; tasks of several rounds cannot be run")


def converted(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """lmms-eval's chat messages as ours. UserError for a medium that this model has no sense for, such as sound."""
    return [{"role": message["role"], "content": _content(message["content"])} for message in messages]


def _content(content: str | Sequence[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind not in ("image", "video"):
        raise UserError(f"a task asks about {kind}, which vl3 does not take")
    source, bounds = part.get("url"), (part.get("start_time"), part.get("end_time"))
    if isinstance(source, Mapping):  # a part of a video, as tasks without messages of their own name it
        bounds = (source.get("video_start"), source.get("video_end"))
        source = source.get("path") or source.get("url") or source.get("video")
    if source is None or source == "":
        raise UserError(f"a task gives an empty {kind}")
    source = source.convert("RGB") if isinstance(source, Image.Image) else source
    named = {name: second for name, second in zip(("start_s", "end_s"), bounds, strict=True) if second is not None}
    return {"type": kind, kind: source, **named}


def generation_options(given: Mapping[str, Any]) -> Options:
    """What a task says about decoding. Sampling only where it is asked for."""
    options: Options = {"max_new_tokens": int(given.get("max_new_tokens", 512))}
    until = given.get("until") or []
    stop = [text for text in ([until] if isinstance(until, str) else until) if text]
    if stop:
        options["stop"] = stop
    if given.get("do_sample") and given.get("temperature"):
        options["temperature"] = float(given["temperature"])
        if given.get("top_p"):
            options["top_p"] = float(given["top_p"])
        if given.get("top_k"):
            options["top_k"] = int(given["top_k"])
    if given.get("repetition_penalty"):
        options["repetition_penalty"] = float(given["repetition_penalty"])
    if int(given.get("num_beams") or 1) > 1:
        raise UserError(f"a task asks for {given['num_beams']} beams; vl3 decodes one (--gen_kwargs num_beams=1)")
    return options
