"""/docs: the OpenAPI document as a page of plain HTML, which needs no scripts, and nothing from elsewhere."""

import html
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse

STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0; }
tr + tr { border-top: 1px solid #8884; } code { font-family: ui-monospace, monospace; }
:root { color-scheme: light dark; }
summary { cursor: pointer; margin: .5rem 0; } h2 code { font-size: .9em; }"""
SIGNS = {"minimum": "\u2265", "exclusiveMinimum": ">", "maximum": "\u2264", "exclusiveMaximum": "<"}


def routes(app: FastAPI) -> APIRouter:
    """The route, for one app."""
    router = APIRouter()

    @router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def reference() -> HTMLResponse:
        """All routes and fields."""
        return HTMLResponse(page(app.openapi()))

    return router


def page(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML."""
    title = html.escape(f"{document['info']['title']} {document['info']['version']}")
    operations = [
        _operation(method, path, operation, document["components"]["schemas"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    named = [
        f'<details id="{html.escape(name)}"><summary><code>{html.escape(name)}</code> '
        f"{html.escape(schema.get('description', ''))}</summary>{_fields(schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
        if "properties" in schema
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{html.escape(document['info'].get('summary', ''))}. "
        f'For programs: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(operations)}<h2>Objects</h2>{''.join(named)}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    said = html.escape(operation.get("description", operation.get("summary", "")))
    parts = [f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{said}</p>"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        parts.append(_fields(schemas.get(name, content["schema"])))
    return "".join(parts)


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"<tr><td><code>{html.escape(name)}</code>{'' if name in required else ' <small>optional</small>'}"
        f"<td>{_type(field)}<td>{html.escape(field.get('description', ''))}"
        for name, field in schema.get("properties", {}).items()
    ]
    return f"<table><tr><th>field<th>type<th>{''.join(rows)}</table>" if rows else ""


def _type(field: dict[str, Any]) -> str:
    """A field's type in a few words, with links to the objects below."""
    if "$ref" in field:
        name = html.escape(field["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            return " or ".join(_type(choice) for choice in field[key] if choice.get("type") != "null")
    if "const" in field or "enum" in field:
        values = field.get("enum", [field.get("const")])
        return ", ".join(f"<code>{html.escape(repr(value))}</code>" for value in values)
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    limits = [f"{sign} {field[key]:g}" for key, sign in SIGNS.items() if key in field]
    return html.escape(" ".join([field.get("type", "anything"), *limits]))
