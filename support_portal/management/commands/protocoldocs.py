"""`manage.py protocoldocs`: write docs/protocol.md from chatbot/protocol.py; a test holds the two together."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from django.conf import settings
from django.core.management.base import BaseCommand

from chatbot import protocol


class Command(BaseCommand):
    help = "Write docs/protocol.md from chatbot/protocol.py."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / "docs" / "protocol.md"
        path.write_text(protocol_page())
        self.stdout.write(f"wrote {path}")


def protocol_page() -> str:
    intro = inspect.getdoc(protocol) or ""
    parts = [
        "# The websocket protocol of the customer chat",
        intro,
        "Socket: `/ws/chat/`. This page is generated: `manage.py protocoldocs`.",
    ]
    parts += ["## From the browser", *(_frame(frame) for frame in _members(protocol.ClientFrame))]
    parts += ["## From the server", *(_frame(frame) for frame in _members(protocol.ServerFrame))]
    parts += [
        "## Parts of frames",
        *(_frame(part) for part in (protocol.MessageView, protocol.Citation, protocol.ConversationView)),
    ]
    parts += [_LIMITS]
    return "\n\n".join(parts) + "\n"


_LIMITS = f"""## Limits and close codes

A frame has at most {protocol.MAX_FRAME_BYTES // 1024} KiB, a message {protocol.MAX_TEXT_CHARS:,} characters.
The server closes with 4400 after many frames it does not understand, 4401 when the browser has no visitor cookie (reload the
page), 4403 for a page of another origin. Error codes: `frame_invalid`, `frame_too_big`, `message_empty`, `message_too_long`,
`message_id_reused`, `conversation_not_found`, `message_not_found`, `conversation_busy`, `not_last_reply`, `reply_not_finished`,
`too_fast`, `internal`."""


def _members(union: Any) -> tuple[type[protocol.Frame], ...]:
    return get_args(get_args(union)[0])


def _frame(frame: type[protocol.Frame]) -> str:
    kind = frame.model_fields.get("type")
    title = f"### `{kind.default}`" if kind else f"### {frame.__name__}"
    schema = frame.model_json_schema()
    rows = [
        f"| `{name}` | {_type_of(field)} | {'required' if name in schema.get('required', ()) else _default(field)} |"
        for name, field in schema["properties"].items()
        if name != "type"
    ]
    table = "\n".join(["| field | type | default |", "| --- | --- | --- |", *rows]) if rows else "No fields."
    doc = inspect.getdoc(frame) if "__doc__" in vars(frame) and frame.__doc__ else ""
    return "\n\n".join(part for part in (title, doc, table) if part)


def _type_of(schema: dict[str, Any]) -> str:
    """A JSON schema's type in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type_of(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value!r}`" for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_type_of(schema['items'])}"
    limit = f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""
    return f"{schema.get('format') or schema.get('type', 'any')}{limit}"


def _default(schema: dict[str, Any]) -> str:
    return f"`{schema.get('default')!r}`"
