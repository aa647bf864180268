"""Constrained decoding: whatever is drawn among the allowed tokens satisfies the schema."""

import json
import random
from typing import Any

import jsonschema
import pytest

from tests.tiny import tiny_checkpoint
from vl3.errors import UserError
from vl3.serve.constraint import JsonConstraints

SCHEMAS = [
    {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 1000}, "minItems": 4, "maxItems": 4},
    {
        "type": "object",
        "properties": {
            "label": {"enum": ["cat", "dog", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"]},
            "box": {"type": "array", "items": {"type": "integer"}, "minItems": 0, "maxItems": 3},
            "seen": {"type": ["boolean", "null"]},
        },
        "required": ["label", "box", "seen"],
        "additionalProperties": False,
    },
    {"anyOf": [{"const": 7}, {"type": "string", "pattern": "^[a-f]{2,5}$"}]},
    {
        "$defs": {"t": {"type": "object", "properties": {"k": {"enum": [0, 1]}, "next": {"$ref": "#/$defs/t"}},
                        "required": ["k"], "additionalProperties": False}},
        "$ref": "#/$defs/t",
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def constraints() -> JsonConstraints:
    return JsonConstraints(tiny_checkpoint())


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_every_path_satisfies_the_schema(constraints: JsonConstraints, number: int) -> None:
    checkpoint = tiny_checkpoint()
    [end] = checkpoint.eos_token_ids
    finished = 0
    for seed in range(30):
        luck = random.Random(seed)
        constraint = constraints.make(SCHEMAS[number])
        generated: list[int] = []
        while len(generated) < 400:
            mask = constraint.allowed(generated)
            assert mask.shape == (checkpoint.config.language.vocab_size,)
            allowed = mask.nonzero()[:, 0].tolist()
            token = luck.choice(allowed)
            if token == end:
                jsonschema.validate(json.loads(checkpoint.tokenizer.decode(generated)), SCHEMAS[number])
                finished += 1
                break
            generated.append(token)
    assert finished >= 25


def test_allowed_may_be_asked_twice(constraints: JsonConstraints) -> None:
    constraint = constraints.make({"const": 42})
    assert constraint.allowed([]).equal(constraint.allowed([]))
    [first] = constraint.allowed([]).nonzero()[:, 0].tolist()
    assert tiny_checkpoint().tokenizer.decode([first]) == "4"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "nonsense"}, "cannot be followed"),
        ({"$ref": "http://127.0.0.1/schema"}, "cannot be followed"),
        ({"$ref": "file:///etc/passwd"}, "cannot be followed"),
        ({"type": "string", "pattern": "("}, "cannot be followed"),
        ({"enum": ["x" * 200_000]}, "the schema has"),
    ],
)
def test_schemas_that_cannot_be_followed(constraints: JsonConstraints, schema: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        constraints.make(schema)


def test_a_schema_that_nothing_satisfies(constraints: JsonConstraints) -> None:
    with pytest.raises(UserError, match="response_format: no JSON satisfies the schema"):
        constraints.make({"$ref": "#"}).allowed([])
