"""The schema's examples are what the service really answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commands.http.examples import examples
from tests.http.conftest import Place
from tests.http.examples import real_answers


def shape_of(value: Any) -> Any:
    """Which fields there are, and of what kind; a list by its first element."""
    if isinstance(value, dict):
        return {name: shape_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return type(value).__name__


def test_each_example_has_the_shape_of_a_real_answer(tmp_path: Path) -> None:
    """A field that comes, goes or changes its kind is told: python -m tests.http.examples."""
    real = real_answers(tmp_path)
    assert {name: shape_of(each) for name, each in real.items()} == {
        name: shape_of(each) for name, each in examples().items()
    }


def test_every_answer_in_json_has_an_example(place: Place) -> None:
    """And what is no JSON says what it is."""
    described = place.client().get("/database/openapi.json").json()
    media_types = set()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if not path.startswith("/database"):
                continue
            answers = [each for status, each in operation["responses"].items() if status[0] == "2"]
            content = answers[0].get("content", {})
            media_types |= set(content)
            if "application/json" in content:
                told = content["application/json"]
                assert "example" in told or "$ref" in told["schema"], f"{method} {path}"
    assert media_types == {"application/json", "text/plain", "text/event-stream"}
