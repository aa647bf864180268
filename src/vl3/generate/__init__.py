"""Inference: from a file and a question to an answer."""

from vl3.generate.answer import Answer, AnswerStream, Piece, TokenLogprob, TokenLogprobs
from vl3.generate.assistant import Assistant, load
from vl3.generate.conversation import Conversation
from vl3.generate.options import Options
from vl3.generate.sampling import Constraint
from vl3.generate.service import Service
from vl3.generate.service_config import ServiceConfig, Stats
from vl3.generate.ticket import Busy, Cancelled, Ticket

__all__ = [
    "Answer",
    "AnswerStream",
    "Assistant",
    "Busy",
    "Cancelled",
    "Constraint",
    "Conversation",
    "Options",
    "Piece",
    "Service",
    "ServiceConfig",
    "Stats",
    "Ticket",
    "TokenLogprob",
    "TokenLogprobs",
    "load",
]
