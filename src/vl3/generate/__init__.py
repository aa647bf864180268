"""Inference: from a file and a question to an answer."""

from vl3.generate.answer import Answer, AnswerStream
from vl3.generate.assistant import Assistant, load
from vl3.generate.conversation import Conversation
from vl3.generate.options import Options

__all__ = ["Answer", "AnswerStream", "Assistant", "Conversation", "Options", "load"]
