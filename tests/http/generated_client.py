"""A client that openapi-python-client generates, and what it makes of each answer."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import typing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

PACKAGE = "generated_ledger_client"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@dataclass
class Call:
    """An operation as it was called. `raw`: the body; `parsed`: what the client made of it."""

    operation_id: str
    raw: bytes
    content_type: str
    parsed: Any


@dataclass
class GeneratedClient:
    """Sends requests by the generated functions; `calls`: what came of them, in order."""

    schema: dict[str, Any]
    modules: dict[str, ModuleType]
    root: ModuleType
    calls: list[Call] = field(default_factory=list)

    def send(self, client: httpx.Client, method: str, address: str, **request: Any) -> Any:
        """A request as the generated function of its operation sends it."""
        url = httpx.URL(address)
        path, given = self._operation(method, url.path)
        module = self.modules[self.schema["paths"][path][method.lower()]["operationId"]]
        hints = typing.get_type_hints(module.sync_detailed)
        arguments = given | dict(url.params)
        arguments = {name: _as(hints[name], value) for name, value in arguments.items()}
        if "json" in request:
            arguments["body"] = _model_of(hints["body"]).from_dict(request["json"])
        sender = self.root.Client(base_url="http://localhost", raise_on_unexpected_status=True)
        answer = module.sync_detailed(client=sender.set_httpx_client(client), **arguments)
        kind = answer.headers.get("content-type", "")
        name = module.__name__.rpartition(".")[2]
        self.calls.append(Call(name, answer.content, kind.partition(";")[0], answer.parsed))
        headers = {"content-type": kind}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        for pattern, operations in self.schema["paths"].items():
            names = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
            found = re.fullmatch(names, path)
            if found and method.lower() in operations:
                return pattern, found.groupdict()
        raise AssertionError(f"the schema has no {method} {path}")


def generated_client(schema: dict[str, Any], folder: Path) -> GeneratedClient:
    """Generate it into a folder, without a word of warning, and import it."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(schema))
    wanted = Config.from_sources(
        ConfigFile(post_hooks=[]), MetaType.NONE, document, "utf-8", False, folder / PACKAGE
    )
    warnings = [(each.header, each.detail) for each in generate(config=wanted)]
    assert not warnings, warnings
    sys.path.insert(0, str(folder))
    try:
        root = importlib.import_module(PACKAGE)
        modules = {
            path.stem: importlib.import_module(f"{PACKAGE}.api.{path.parent.name}.{path.stem}")
            for path in (folder / PACKAGE / "api").glob("*/*.py")
            if path.stem != "__init__"
        }
    finally:
        sys.path.remove(str(folder))
    return GeneratedClient(schema, modules, root)


def untyped(value: Any, where: str = "") -> list[str]:
    """Where a value has fields that its model does not name."""
    if isinstance(value, list):
        return [each for item in value for each in untyped(item, where)]
    if not hasattr(value, "additional_properties"):
        return []
    declared = [each.name for each in value.__attrs_attrs__ if each.name != "additional_properties"]
    found = [f"{where}.{name}" for name in value.additional_properties] if declared else []
    return found + [
        each for name in declared for each in untyped(getattr(value, name), f"{where}.{name}")
    ]


def as_json(parsed: Any) -> Any:
    """What a parsed answer was as JSON."""
    if isinstance(parsed, list):
        return [as_json(each) for each in parsed]
    return comparable(parsed.to_dict())


def comparable(value: Any) -> Any:
    """JSON with times in one form."""
    if isinstance(value, dict):
        return {name: comparable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if isinstance(value, str) and INSTANT.fullmatch(value):
        return datetime.fromisoformat(value).isoformat()
    return value


def _as(hint: Any, text: str) -> Any:
    kinds = (hint, *typing.get_args(hint))
    return int(text) if int in kinds else text == "true" if bool in kinds else text


def _model_of(hint: Any) -> Any:
    kinds = (hint, *typing.get_args(hint))
    return next(each for each in kinds if inspect.isclass(each) and hasattr(each, "from_dict"))
