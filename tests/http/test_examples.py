"""The schema is what the service really answers, and a client generated from it gets it all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from commands.http.application import schema_of
from commands.http.examples import examples
from tests.http.conftest import Place
from tests.http.examples import real_answers
from tests.http.generated_client import (
    GeneratedClient,
    as_json,
    comparable,
    generated_client,
    untyped,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> GeneratedClient:
    """Generated once."""
    return generated_client(schema_of("/database"), tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def answers(client: GeneratedClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a real place answered, each operation called by the generated client."""
    return real_answers(tmp_path_factory.mktemp("place"), client.send)


def shape_of(value: Any) -> Any:
    """Which fields there are, and of what kind; a list by its first element."""
    if isinstance(value, dict):
        return {name: shape_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return type(value).__name__


def test_each_example_has_the_shape_of_a_real_answer(answers: dict[str, Any]) -> None:
    """A field that comes, goes or changes its kind is told: python -m tests.http.examples."""
    assert {name: shape_of(each) for name, each in answers.items()} == {
        name: shape_of(each) for name, each in examples().items()
    }


def test_a_generated_client_calls_everything_and_gets_every_value(
    client: GeneratedClient, answers: dict[str, Any]
) -> None:
    """Each operation once at least; no value is lost, or outside of what the schema names."""
    assert {each.operation_id for each in client.calls} == set(client.modules)
    for call in client.calls:
        if call.content_type == "application/json":
            assert untyped(call.parsed, call.operation_id) == []
            assert as_json(call.parsed) == comparable(json.loads(call.raw)), call.operation_id
        elif call.content_type == "application/octet-stream":
            assert call.parsed.payload.read() == call.raw
        elif call.raw:
            assert call.parsed == call.raw.decode(), call.operation_id


def test_every_answer_has_a_model_and_an_example(place: Place) -> None:
    """And what is not JSON says what it is; operations have names that read well."""
    described = place.client().get("/database/openapi.json").json()
    media_types, names = set(), []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            names.append(operation["operationId"])
            answers = [each for status, each in operation["responses"].items() if status[0] == "2"]
            content = answers[0].get("content", {})
            media_types |= set(content)
            if "application/json" in content and path.startswith("/database"):
                told = content["application/json"]
                assert told["schema"], f"{method} {path} has no response model"
                assert "example" in told or "$ref" in told["schema"], f"{method} {path}"
    assert media_types == {
        "application/json", "application/octet-stream", "text/plain", "text/event-stream",
    }  # fmt: skip
    assert len(set(names)) == len(names)
    assert [each for each in names if not each.replace("_", "").isalpha() or "__" in each] == []
