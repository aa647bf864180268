"""Answers that are JSON after a schema: which tokens may come next, by llguidance."""

import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from torch import Tensor

from vl3.errors import UserError
from vl3.weights import Checkpoint

LONGEST_SCHEMA = 100_000
"""Characters; compiling takes up to a second for the largest."""
OVERRIDES: Any = {"whitespace_flexible": False}
"""Else a model that is unsure could write blanks until it runs out of tokens."""


class JsonConstraint:
    """The part of one answer's schema that is still open. See `vl3.generate.service.Constraint`."""

    def __init__(self, matcher: LLMatcher, vocab_size: int, ends: Sequence[int]) -> None:
        """ends: the tokens that end an answer."""
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._ends = ends
        self._consumed = 0

    def allowed(self, generated: list[int]) -> Tensor:
        """bool [V]: the tokens with which the answer can go on. UserError when the schema becomes too hard to follow.

        generated: the answer so far; it grows from call to call.
        """
        new = generated[self._consumed :]
        self._consumed = len(generated)
        if not self._matcher.consume_tokens(new):
            raise UserError(
                f"response_format: the schema cannot be followed further: {self._matcher.get_error()[:200]}"
            )
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._vocab_size]
        if not mask.any():
            raise UserError(f"response_format: no token can go on: {self._matcher.get_error()[:200]}")
        if mask[self._ends].any() and not self._matcher.is_accepting():  # a dead end, as {"$ref": "#"} is one
            raise UserError("response_format: no JSON satisfies the schema")
        return torch.from_numpy(mask.astype(bool))


class JsonConstraints:
    """Makes constraints for one model. Its table of tokens is made when first needed."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._vocab_size = checkpoint.config.language.vocab_size
        self._ends = list(checkpoint.eos_token_ids)
        self._lock = threading.Lock()
        self._tokens: LLTokenizer | None = None

    def make(self, schema: dict[str, Any]) -> JsonConstraint:
        """A constraint for one answer. UserError for a schema that is none, too large or not supported."""
        text = json.dumps(schema)
        if len(text) > LONGEST_SCHEMA:
            raise UserError(f"response_format: the schema has {len(text)} characters; at most {LONGEST_SCHEMA}")
        try:
            grammar = LLMatcher.grammar_from_json_schema(text, overrides=OVERRIDES)
        except ValueError as error:
            raise UserError(f"response_format: {error}") from error
        matcher = LLMatcher(self._table(), grammar, log_level=0, limits=LLParserLimits(verbose_errors=False))
        if matcher.is_error():
            reason = (matcher.get_error().splitlines() or ["unknown"])[0]
            raise UserError(f"response_format: this schema cannot be followed: {reason[:200]}")
        return JsonConstraint(matcher, self._vocab_size, self._ends)

    def _table(self) -> LLTokenizer:
        with self._lock:
            if self._tokens is None:
                self._tokens = LLTokenizer(self._checkpoint.tokenizer.to_str(), self._vocab_size, self._ends)
            return self._tokens
