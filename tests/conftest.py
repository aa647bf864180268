"""Fixtures that tests of several rooms share."""

from collections.abc import Iterator

import pytest

from tests.tiny import tiny_checkpoint
from vl3.generate import Assistant
from vl3.media import Decoder, FetchLimits


@pytest.fixture(scope="module")
def assistant() -> Iterator[Assistant]:
    """The tiny model, to ask."""
    assistant = Assistant(tiny_checkpoint(), Decoder(60, FetchLimits()))
    yield assistant
    assistant.close()
