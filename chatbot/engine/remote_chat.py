"""The HTTP half of the remote engine: what is said to an OpenAI-compatible server, and how little its answers are trusted.

A server may be broken, overloaded, of another kind, or not ours at all. Every answer is read with limits on time and size,
redirects are not followed, and what goes wrong is an EngineError whose text quotes neither the server nor the customer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from chatbot.engine.markers import without_markers
from chatbot.engine.requests import ChatMessage, EngineError

MAX_DOCUMENT_BYTES = 4_000_000
# Answers keep the name of what wrote them.
MAX_NAME_CHARS = 120
MAX_LINE_BYTES = 256_000
# An event of one token with its envelope and log probability is below 1 kB.
MAX_EVENT_BYTES = 4096
MISSING_API = "MODEL_URL must be the address of an OpenAI-compatible server, with or without /v1"
# How refusals of a prompt that is too long read in vLLM, SGLang, llama.cpp and TGI.
TOO_LONG_SIGNS = (
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "maximum allowed length",
    "max_new_tokens` must be",
)


class Refused(EngineError):
    """The server did not begin an answer. again: whether the same request may be sent once more."""

    def __init__(self, code: str, text: str, *, again: bool = False) -> None:
        super().__init__(code, text)
        self.again = again


@dataclass(frozen=True)
class Patience:
    """How long to wait: for a connection, for the first token, from one token to the next, for a short answer."""

    connect_s: float = 3.0
    first_token_s: float = 60.0
    next_token_s: float = 20.0
    document_s: float = 5.0


@dataclass(frozen=True)
class Served:
    """One model of the server's list. parent: the base model of an adapter; maker: who wrote the server, where it tells."""

    name: str
    parent: str
    maker: str
    context_tokens: int


@dataclass(frozen=True)
class Delta:
    """What one event adds to one of the answers."""

    index: int
    text: str = ""
    finish_reason: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int


class ChatServer:
    """One server. All methods run on one event loop; `open` before the first."""

    def __init__(self, url: str, *, api_key: str = "", patience: Patience | None = None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.patience = patience or Patience()
        self._client: httpx2.AsyncClient | None = None
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})

    def open(self) -> None:
        """Make the client. Certificates are verified; SSL_CERT_FILE and the proxy variables of the environment are honoured.

        Every request has a connection of its own: llama.cpp's server closes a used one without a word, now and then just as the
        next request is sent on it, and a completion must not be sent twice to find out.
        """
        self._client = httpx2.AsyncClient(
            headers=self._headers,
            timeout=httpx2.Timeout(None, connect=self.patience.connect_s),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def models(self) -> dict[str, Served]:
        """Ask what is served. Raises Refused when nobody answers, or nobody who speaks this protocol."""
        found = await self._document("GET", "/v1/models")
        entries = found.get("data") if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise Refused("engine_bad_answer", f"{self.url}/v1/models is no list of models; {MISSING_API}")
        return {entry["id"]: _served(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)}

    async def slot_context(self) -> int:
        """The context of one of llama.cpp's slots; 0 from other servers."""
        found = await self._document("GET", "/props")
        return _whole(_inside(found, "default_generation_settings", "n_ctx"))

    async def count_by_messages(self, model: str, messages: Sequence[ChatMessage]) -> int:
        """Count as vLLM does. Returns 0 from a server that cannot."""
        found = await self._document("POST", "/tokenize", {"model": model, "messages": rows_of(messages)})
        return _whole(_inside(found, "count"))

    async def count_by_template(self, model: str, messages: Sequence[ChatMessage]) -> int:
        """Count as llama.cpp does, in two steps. Returns 0 from a server that cannot."""
        rendered = _inside(await self._document("POST", "/apply-template", {"messages": rows_of(messages)}), "prompt")
        if not isinstance(rendered, str):
            return 0
        body = {"content": rendered, "add_special": True, "parse_special": True}
        tokens = _inside(await self._document("POST", "/tokenize", body), "tokens")
        return len(tokens) if isinstance(tokens, list) else 0

    async def chat(self, body: dict[str, Any], *, max_tokens: int) -> AsyncGenerator[Delta | Usage, None]:
        """Stream one completion. Ends after the server's [DONE], or with an EngineError.

        Raises Refused before the first event. max_tokens: of all answers together, for the limit on size. Closing the iterator
        closes the connection, by which the server knows that it can stop.
        """
        patience = _Clock(self.patience)
        async with self._sent("POST", "/v1/chat/completions", body, until=patience.until) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise Refused("engine_bad_answer", f"the model server's answer is no event stream; {MISSING_API}")
            lines = _lines(response, patience=patience, max_bytes=MAX_LINE_BYTES + max_tokens * MAX_EVENT_BYTES)
            async with aclosing(lines):
                async for line in lines:
                    if line.startswith(b"data:") and line[5:].strip() == b"[DONE]":
                        return
                    for event in _events(line[5:]) if line.startswith(b"data:") else ():
                        if isinstance(event, Delta) and event.text:
                            patience.renew()
                        yield event
        raise EngineError("engine_cut_off", "the model server ended its answer in the middle")

    async def _document(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One JSON document; None where the server has no such address."""
        until = asyncio.get_running_loop().time() + self.patience.document_s
        try:
            async with self._sent(method, path, body, until=until) as response:
                return _parsed(await _limited(response, until=until))
        except Refused as error:
            if error.code in ("model_not_served", "engine_refused") and path != "/v1/models":
                return None
            raise

    @asynccontextmanager
    async def _sent(
        self, method: str, path: str, body: dict[str, Any] | None, *, until: float
    ) -> AsyncGenerator[httpx2.Response, None]:
        """Send a request and yield the response, its body unread. Raises Refused for every status but 200."""
        assert self._client is not None  # `open` comes first
        try:
            request = self._client.build_request(method, self.url + path, json=body)
            async with asyncio.timeout_at(until):
                response = await self._client.send(request, stream=True)
        except (httpx2.TransportError, httpx2.InvalidURL, TimeoutError) as error:
            raise self._no_answer(error) from error
        try:
            if response.status_code != 200:
                raise _refusal(response.status_code, await _beginning(response, until=until))
            yield response
        except httpx2.TransportError as error:
            raise EngineError("engine_cut_off", "the connection to the model server broke") from error
        finally:
            await response.aclose()

    def _no_answer(self, error: Exception) -> Refused:
        if isinstance(error, TimeoutError):
            return Refused("engine_stalled", f"the model server at {self.url} took a request and did not answer in time")
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            again = isinstance(error, httpx2.ConnectError)
            text = f"no model server answers at {self.url} ({error}); start it, or correct MODEL_URL"
            return Refused("engine_unreachable", text, again=again)
        if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
            return Refused("engine_unreachable", MISSING_API)
        return Refused("engine_cut_off", f"the connection to the model server broke ({type(error).__name__})")


class _Clock:
    """Until when the next token must have come. Bytes without a token, such as keep-alive comments, win no time."""

    def __init__(self, patience: Patience) -> None:
        self._next_token_s = patience.next_token_s
        self.until = asyncio.get_running_loop().time() + patience.first_token_s

    def renew(self) -> None:
        self.until = asyncio.get_running_loop().time() + self._next_token_s


async def _lines(response: httpx2.Response, *, patience: _Clock, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Split the body into lines; a line or a body that is too long, or nothing for too long, is an EngineError."""
    chunks = response.aiter_raw()
    buffer, total = b"", 0
    async with aclosing(chunks):
        while True:
            try:
                async with asyncio.timeout_at(patience.until):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise EngineError("engine_stalled", "the model server went silent in the middle of its answer") from error
            if chunk is None:
                return
            total += len(chunk)
            *lines, buffer = (buffer + chunk).split(b"\n")
            if total > max_bytes or len(buffer) > MAX_LINE_BYTES:
                raise EngineError("engine_bad_answer", "the model server sent far more than it was asked for")
            for line in lines:
                yield line.rstrip(b"\r")


async def _limited(response: httpx2.Response, *, until: float) -> bytes:
    content = b""
    try:
        async with asyncio.timeout_at(until):
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise Refused("engine_bad_answer", "the model server sent far more than it was asked for")
    except TimeoutError as error:
        raise Refused("engine_stalled", "the model server did not answer in time") from error
    return content


async def _beginning(response: httpx2.Response, *, until: float) -> bytes:
    """The body of a refusal, as far as it comes; it decides only how the refusal is called."""
    try:
        return await _limited(response, until=until)
    except (EngineError, httpx2.TransportError):
        return b""


def choose_model(name: str, served: dict[str, Served]) -> Served:
    """The model called `name`, or the only one that is no adapter. Raises EngineError naming MODEL_NAME."""
    listed = ", ".join(sorted(served)[:10]) or "nothing"
    if name:
        if name not in served:
            raise EngineError("model_not_served", f"the model server does not serve {name!r} but {listed}; correct MODEL_NAME")
        return served[name]
    bases = [model for model in served.values() if not model.parent]
    if len(bases) != 1:
        raise EngineError("model_not_named", f"the model server serves {listed}; set MODEL_NAME to one of them")
    if len(bases[0].name) > MAX_NAME_CHARS:
        raise EngineError("model_not_named", "the model server has a very long name for its model; give it a short one there")
    return bases[0]


def _refusal(status: int, content: bytes) -> Refused:
    """Name what a status other than 200 means here."""
    if status in (401, 403):
        return Refused("engine_unauthorised", f"the model server refuses our key (HTTP {status}); set MODEL_API_KEY")
    if status == 404:
        return Refused("model_not_served", "the model server does not know this address or model; see MODEL_URL and MODEL_NAME")
    if status in (429, 503):
        return Refused("engine_busy", f"the model server takes no more requests now (HTTP {status})", again=status == 503)
    if status in (502, 504):
        return Refused("engine_unreachable", f"a proxy finds no model server (HTTP {status})", again=status == 502)
    if status >= 500:
        return Refused("engine_failed", f"the model server failed (HTTP {status})")
    if status < 400:
        return Refused("engine_bad_answer", f"the model server redirects, which is not followed (HTTP {status}); {MISSING_API}")
    if any(sign in content.decode(errors="replace").lower() for sign in TOO_LONG_SIGNS):
        return Refused("prompt_too_long", f"the prompt is longer than the model server takes (HTTP {status})")
    return Refused("engine_refused", f"the model server refuses the request (HTTP {status})")


def rows_of(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    """The messages as JSON. Servers read special tokens inside a text too, so none may stand there."""
    texts = (message.content.encode(errors="replace").decode() for message in messages)  # half a character is no JSON
    return [{"role": message.role, "content": without_markers(text)} for message, text in zip(messages, texts, strict=True)]


def _events(data: bytes) -> list[Delta | Usage]:
    """Read one event of a stream. Raises EngineError when it is malformed or tells of an error."""
    event = _parsed(data)
    if not isinstance(event, dict):
        raise EngineError("engine_bad_answer", "the model server sent an event that is no JSON object")
    error = event.get("error", event if event.get("object") == "error" else None)
    if error:
        status = _whole(_inside(error, "code")) or 500
        raise _refusal(status if 400 <= status < 600 else 500, json.dumps(error).encode())
    found: list[Delta | Usage] = [_delta(choice) for choice in event.get("choices") or () if isinstance(choice, dict)]
    usage = event.get("usage")
    if isinstance(usage, dict):
        reused = _whole(_inside(usage, "prompt_tokens_details", "cached_tokens"))
        found.append(Usage(_whole(usage.get("prompt_tokens")), _whole(usage.get("completion_tokens")), reused))
    return found


def _delta(choice: dict[str, Any]) -> Delta:
    text = _inside(choice, "delta", "content")
    reason = choice.get("finish_reason")
    told = _inside(choice, "logprobs", "content")
    entries = [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []
    tokens = tuple(entry["id"] for entry in entries if isinstance(entry.get("id"), int))
    logprobs = tuple(float(entry["logprob"]) for entry in entries if isinstance(entry.get("logprob"), int | float))
    return Delta(
        index=_whole(choice.get("index")),
        text=text if isinstance(text, str) else "",
        finish_reason=reason if isinstance(reason, str) else "",
        tokens=tokens if len(tokens) == len(entries) else (),
        logprobs=logprobs if len(logprobs) == len(entries) else (),
    )


def _served(entry: dict[str, Any]) -> Served:
    parent, maker = entry.get("parent"), entry.get("owned_by")
    return Served(
        name=entry["id"],
        parent=parent if isinstance(parent, str) else "",
        maker=maker if isinstance(maker, str) else "",
        context_tokens=_whole(entry.get("max_model_len")) or _whole(_inside(entry, "meta", "n_ctx")),
    )


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused("engine_bad_answer", f"the model server's answer is no JSON; {MISSING_API}") from error


def _inside(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _whole(value: Any) -> int:
    """A whole number of the server's, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
