"""An OpenAI-compatible server on a thread, writing with the scripted engine: real HTTP, real disconnects, faults on order."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import ChatMessage, EngineError, GenerationHandle, GenerationRequest, PromptTooLong, Sampling

MODEL = "tiny-model"


class OpenAIServer:
    """flavour: vllm counts by messages, llamacpp by template, plain not at all.

    fault: what happens to the next requests for a completion, "" for nothing; see `_Handler._fault`. served: the list of models.
    """

    def __init__(self, engine: ScriptedEngine, *, flavour: str = "vllm", api_key: str = "", port: int = 0) -> None:
        self.engine = engine
        self.flavour = flavour
        self.api_key = api_key
        self.served: list[dict[str, Any]] = [{"id": MODEL, "object": "model", "owned_by": flavour}]
        if flavour == "vllm":
            self.served[0]["max_model_len"] = engine.context_tokens
        self.fault = ""
        self.faults_left = 1_000_000
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.handles: list[GenerationHandle] = []
        self.open_sockets: set[socket.socket] = set()
        # Held where the engine takes a request, so that it is not stopped in the middle of that.
        self.lock = threading.Lock()
        engine.start()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._http.daemon_threads = True
        self._http.owner = self  # type: ignore[attr-defined]
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def order(self, fault: str, *, times: int = 1_000_000) -> None:
        self.fault, self.faults_left = fault, times

    def stop(self) -> None:
        """Vanish like a killed process: open connections break, new ones are refused."""
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self.open_sockets):
            connection.close()
        with self.lock:
            self.engine.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def owner(self) -> OpenAIServer:
        return self.server.owner  # type: ignore[attr-defined, no-any-return]

    def setup(self) -> None:
        super().setup()
        self.owner.open_sockets.add(self.connection)

    def finish(self) -> None:
        self.owner.open_sockets.discard(self.connection)
        try:
            super().finish()
        except OSError:
            return

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):  # the other side, or `stop`, closed the connection
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Say nothing: every test makes hundreds of requests."""

    # Routes

    def do_GET(self) -> None:
        self.owner.asked[self.path] += 1
        if self._locked():
            return
        if self.owner.fault == "html":
            self._send(200, b"<html>Welcome to nginx</html>", kind="text/html")
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": self.owner.served})
        elif self.path == "/props" and self.owner.flavour == "llamacpp":
            self._json(200, {"default_generation_settings": {"n_ctx": self.owner.engine.context_tokens}})
        else:
            self._json(404, {"error": {"message": "no such address", "code": 404}})

    def do_POST(self) -> None:
        self.owner.asked[self.path] += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._locked():
            return
        flavour = self.owner.flavour
        if self.path == "/v1/chat/completions":
            self.owner.bodies.append(body)
            if self.owner.fault and self.owner.faults_left > 0:
                self.owner.faults_left -= 1
                self._fault(self.owner.fault)
            else:
                self._chat(body)
        elif self.path == "/tokenize" and flavour == "vllm":
            self._json(200, {"count": self.owner.engine.count_tokens(_messages(body)), "max_model_len": 1, "tokens": []})
        elif self.path == "/apply-template" and flavour == "llamacpp":
            self._json(200, {"prompt": json.dumps(body["messages"])})
        elif self.path == "/tokenize" and flavour == "llamacpp":
            rows = json.loads(body.get("content") or "[]")
            self._json(200, {"tokens": [7] * (self.owner.engine.count_tokens(_messages({"messages": rows})) if rows else 0)})
        else:
            self._json(404, {"error": {"message": "no such address", "code": 404}})

    def _locked(self) -> bool:
        if self.owner.api_key and self.headers.get("Authorization") != f"Bearer {self.owner.api_key}":
            self._json(401, {"error": {"message": "wrong key", "code": 401}})
            return True
        return False

    # Completions

    def _chat(self, body: dict[str, Any]) -> None:
        if body["model"] not in [model["id"] for model in self.owner.served]:
            return self._json(404, {"error": {"message": "no such model", "code": 404}})
        request = GenerationRequest(
            "served",
            _messages(body),
            max_new_tokens=body["max_tokens"],
            sampling=Sampling(body["temperature"], body["top_p"], 0, body["seed"]),
            stop=body.get("stop", ()),
            alternatives=body.get("n", 1),
            logprobs=body.get("logprobs", False),
        )
        try:
            with self.owner.lock:
                handle = self.owner.engine.submit(request)
        except PromptTooLong as error:
            text = f"This model's maximum context length is {error.context_tokens} tokens."
            return self._json(400, {"error": {"message": text, "code": "context_length_exceeded"}})
        except EngineError as error:
            return self._json(429, {"error": {"message": str(error), "code": 429}})
        self.owner.handles.append(handle)
        self._open_stream()
        try:
            self._stream(handle, body)
        except (OSError, ValueError):
            handle.cancel()
            self.close_connection = True

    def _stream(self, handle: GenerationHandle, body: dict[str, Any]) -> None:
        self._event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
        while (piece := handle.next_piece(timeout_s=0.01)) is not None:
            if piece:
                self._event({"choices": [_choice(0, piece, told=body.get("logprobs", False))]})
            elif self._gone():
                raise BrokenPipeError
        output = handle.output
        if output.finish_reason == "error":
            self._event({"error": {"message": "failed", "code": 500}})
            return self._end_stream()
        for at, other in enumerate(output.alternatives, start=1):
            for piece in re.findall(r"\S+\s*", other.text):  # as the script writes: a word a token
                self._event({"choices": [_choice(at, piece, told=body.get("logprobs", False))]})
        for at in range(1 + len(output.alternatives)):
            self._event({"choices": [{"index": at, "delta": {}, "finish_reason": output.finish_reason}]})
        usage = {"prompt_tokens": output.prompt_tokens, "completion_tokens": output.completion_tokens}
        self._event({"choices": [], "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 3}}})
        self._chunk(b"data: [DONE]\n\n")
        self._end_stream()

    def _gone(self) -> bool:
        """Whether the client has closed its end."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    # Faults

    def _fault(self, fault: str) -> None:
        if fault.isdigit():
            return self._json(int(fault), {"error": {"message": "no", "code": int(fault)}})
        if fault == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if fault == "html":
            return self._send(200, b"<html>Bad gateway</html>", kind="text/html")
        if fault == "too_long":
            return self._json(400, {"error": {"type": "exceed_context_size_error", "message": "no", "code": 400}})
        if fault == "silent_headers":
            return self._wait_for_goodbye()
        self._open_stream()
        getattr(self, f"_fault_{fault}")()
        self.close_connection = True

    def _fault_cut(self) -> None:
        """Two pieces, then the connection closes without an end."""
        self._pieces(2)

    def _fault_clean_cut(self) -> None:
        """Two pieces, then the body ends as if that were all."""
        self._pieces(2)
        self._end_stream()

    def _fault_no_farewell(self) -> None:
        """The whole answer, but neither usage nor [DONE]."""
        self._pieces(2)
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._end_stream()

    def _fault_stall(self) -> None:
        self._pieces(2)
        self._wait_for_goodbye()

    def _fault_pings(self) -> None:
        """Keep-alive comments for ever and never a token."""
        while not self._gone():
            self._chunk(b": ping\n\n")
            time.sleep(0.01)

    def _fault_malformed(self) -> None:
        self._pieces(1)
        self._chunk(b'data: {"choices": [{"delta"\n\n')
        self._end_stream()

    def _fault_list(self) -> None:
        self._chunk(b"data: [1, 2]\n\n")
        self._end_stream()

    def _fault_deep(self) -> None:
        self._chunk(b"data: " + b"[" * 100_000 + b"\n\n")
        self._end_stream()

    def _fault_error_event(self) -> None:
        self._pieces(1)
        self._event({"error": {"message": "out of memory", "code": 500}})
        self._end_stream()

    def _fault_endless_line(self) -> None:
        self._chunk(b"data: ")
        while True:
            self._chunk(b"x" * 65_536)

    def _fault_endless_text(self) -> None:
        while True:
            self._pieces(100)

    def _fault_strange_types(self) -> None:
        """Valid JSON whose fields are not what they should be; then a whole answer."""
        for choices in (None, 7, [None, 3, {"index": "x", "delta": [1], "logprobs": 4, "finish_reason": 9}]):
            self._event({"choices": choices, "usage": "much"} if choices != 7 else {"choices": []})
        self._pieces(1)
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._chunk(b"data: [DONE]\n\n")
        self._end_stream()

    def _fault_unknown_reason(self) -> None:
        self._pieces(1)
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "abort"}]})
        self._chunk(b"data: [DONE]\n\n")
        self._end_stream()

    def _fault_second_answer(self) -> None:
        self._event({"choices": [_choice(5, "surprise", told=False)]})
        self._end_stream()

    def _pieces(self, count: int) -> None:
        for _ in range(count):
            self._event({"choices": [_choice(0, "word ", told=False)]})

    def _wait_for_goodbye(self) -> None:
        while not self._gone():
            time.sleep(0.005)
        self.owner.asked["goodbye"] += 1

    # Bytes

    def _open_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _event(self, event: dict[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), kind="application/json")

    def _send(self, status: int, content: bytes, *, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _messages(body: dict[str, Any]) -> list[ChatMessage]:
    return [ChatMessage(row["role"], row["content"]) for row in body["messages"]]


def _choice(index: int, text: str, *, told: bool) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "delta": {"content": text}, "finish_reason": None}
    if told:
        choice["logprobs"] = {"content": [{"id": len(text), "token": text, "logprob": -0.5, "top_logprobs": []}]}
    return choice
