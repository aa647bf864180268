"""The OpenAPI document, and what the server does with all that the document allows, and more."""

import json
import urllib.request
from typing import Any

import hypothesis
import pytest
import schemathesis
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serve.running import MODEL, Running

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def document(server: Running) -> Any:
    with urllib.request.urlopen(f"{server.url}/openapi.json") as answer:
        return json.load(answer)


def test_the_document_is_valid(server: Running) -> None:
    found = document(server)
    validate(found)
    assert set(found["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/files",
        "/v1/files/{file_id}",
        "/v1/models",
        "/v1/models/{model_id}",
        "/metrics",
        "/health",
        "/ready",
    }
    fields = found["components"]["schemas"]["ChatRequest"]["properties"]
    assert fields["prune"]["description"].startswith("vl3:")


def search(server: Running, num_examples: int) -> int:
    """Asks everything that the document describes, with good and bad values; how many calls that were."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    calls = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        takes_something = len(operation.body) + len(operation.path_parameters) > 0
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[: 1 + takes_something]:

            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            @hypothesis.settings(
                max_examples=num_examples, deadline=None, database=None, derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )  # fmt: skip
            def ask(case: schemathesis.Case) -> None:
                nonlocal calls
                calls += 1
                if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
                    case.body |= {"model": MODEL, "max_tokens": 2}  # so that much of what is valid gets an answer
                case.validate_response(case.call(timeout=60), checks=CHECKS)

            ask()
    return calls


def test_schemathesis_finds_no_failure(server: Running) -> None:
    assert search(server, 8) > 50
    assert server.idle()


@pytest.mark.slow
def test_schemathesis_finds_no_failure_at_length(server: Running) -> None:
    assert search(server, 300) > 2000
    assert server.idle()
