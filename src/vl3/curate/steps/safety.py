"""safety: drops what a function of your own refuses; this project brings no such model."""

import importlib.util
import pkgutil
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from vl3.config import Count, configclass
from vl3.curate.media import PLACE, picture_batches
from vl3.curate.step import Found, Place, Rows, RowStep, Type
from vl3.errors import UserError


@configclass
class SafetyConfig:
    """Who judges."""

    function: str
    """`module:function` that takes a list of PIL pictures (RGB) and a list of their texts (or None), and returns for
    each the reason to drop it, or None. The module is imported once in each worker: it may load a model then."""
    batch_size: Count = 16
    """Rows of one call."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.]+:[\w.]+", self.function):
            raise ValueError(f"function: {self.function!r} is not of the form module:function")


def safety_step(config: SafetyConfig) -> RowStep:
    """Writes nothing."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        function = named(config.function)

        def judge(rows: Rows) -> Found:
            reasons: list[str | None] = [None] * len(rows["id"])
            for numbers, images in picture_batches(rows, range(len(reasons)), config.batch_size, reasons):
                texts = [rows["text"][number] for number in numbers]
                said = asked(function, config.function, images, texts, rows["path"][numbers[0]])
                for number, reason in zip(numbers, said, strict=True):
                    reasons[number] = reason
            return Found(reasons=reasons)

        return judge

    def files() -> list[Path]:
        file = source_file(config.function)
        return [file] if file else []

    def ready(_columns: Mapping[str, Type]) -> None:
        refuse_unnamed(config.function)

    return RowStep((*PLACE, "text"), {}, start, only="image", heavy=True, files=files, ready=ready)


def asked(
    function: Callable[..., Any], name: str, images: list[Image.Image], texts: list[str | None], first: str
) -> list[str | None]:
    """What the function says of some pictures, `first` being the path of the first. UserError if it raises, or says
    anything but a reason or None for each."""
    where = f"safety.function: {name} ({source_file(name)})"
    at = f"for the {len(images)} pictures from {first} on"
    try:
        said = function(images, texts)
    except (Exception, SystemExit) as error:
        raise UserError(f"{where} raised {type(error).__name__}: {error}, {at}; mend it and run again") from error
    answers = list(said) if isinstance(said, list | tuple) else [said]
    if len(answers) != len(images) or not all(one is None or isinstance(one, str) for one in answers):
        raise UserError(f"{where} gave {said!r:.80} {at}; it must give a list with a reason (str) or None for each")
    return answers


def refuse_unnamed(name: str) -> None:
    """UserError for a function whose module does not speak of it. The module is not imported here, as that may take a
    model's time and memory."""
    file, word = source_file(name), name.partition(":")[2].partition(".")[0]
    text = file.read_text(encoding="utf-8", errors="replace") if file and file.suffix == ".py" else word
    if not re.search(rf"\b{word}\b|import \*", text):
        raise UserError(f"safety.function: {name!r}: {file} has no {word!r}")


def named(name: str) -> Callable[..., Any]:
    """The function of that name. UserError when there is none."""
    try:
        found = pkgutil.resolve_name(name)
    except (Exception, SystemExit) as error:  # its module is imported, and may raise anything
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"safety.function: {name!r} cannot be imported as module:function: {why}") from error
    if not callable(found):
        raise UserError(f"safety.function: {name!r} is no function")
    function: Callable[..., Any] = found
    return function


def source_file(name: str) -> Path | None:
    """The file of a function's module, which is not imported; None where it has none. UserError if there is no such
    module."""
    try:
        spec = importlib.util.find_spec(name.partition(":")[0])
    except (Exception, SystemExit) as error:  # its package is imported, and may raise anything
        raise UserError(f"safety.function: {name!r}: its module cannot be imported: {error}") from error
    if spec is None:
        raise UserError(f"safety.function: {name!r}: there is no such module; is its folder in PYTHONPATH?")
    return Path(spec.origin) if spec.has_location and spec.origin else None
