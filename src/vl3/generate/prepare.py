"""Messages -> one request, ready for the engine."""

from collections.abc import Sequence
from dataclasses import dataclass

from vl3.chat import Message, media_of
from vl3.errors import UserError
from vl3.media import Decoder, MediaInfo
from vl3.processing import Inputs, Processor, load_visuals, times_of


@dataclass(frozen=True, eq=False)
class Prepared:
    """One request, ready for the engine."""

    inputs: Inputs
    infos: list[MediaInfo]
    """What was chosen of each medium."""


def prepare(messages: Sequence[Message], processor: Processor, decoder: Decoder) -> Prepared:
    """The whole way from messages to inputs. UserError for media that cannot be read."""
    if not messages:
        raise UserError("no messages: ask something")
    visuals, infos = load_visuals(media_of(messages), processor.config, decoder)
    for visual in visuals:
        _ = visual.digest  # wanted later by the model's thread, which has better things to do
    return Prepared(processor.inputs(messages, visuals, times_of(infos)), infos)
