"""Which embedder this installation uses.

EMBEDDER is `packages` (the default), a sentence-transformers folder, or several joined by `+`: their vectors are put side by
side with equal weight. The source is stored beside the index, so that a process can go on with the embedder of yesterday's
vectors while those of today's are being made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from django.conf import settings

from chatbot.engine import embedder as packaged
from chatbot.engine.embedder import Embedder, Vectors
from chatbot.engine.folder_embedder import FolderEmbedder

PACKAGES = "packages"


def default_embedder() -> Embedder:
    """The one embedder of this process, as EMBEDDER names it."""
    return embedder_from(settings.EMBEDDER)


@cache
def embedder_from(source: str) -> Embedder:
    """The embedder of a source. Weights are loaded at the first text. Raises EmbedderFolderError."""
    sources = [part.strip() for part in source.split("+") if part.strip()] or [PACKAGES]
    embedders = [packaged.default_embedder() if part == PACKAGES else FolderEmbedder(Path(part)) for part in sources]
    return embedders[0] if len(embedders) == 1 else JoinedEmbedder(embedders)


class JoinedEmbedder:
    """Several embedders' vectors side by side; each part has the same length, so the dot product is the mean of the cosines."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self._embedders = tuple(embedders)
        self.name = "+".join(embedder.name for embedder in embedders)
        self.parts = tuple(part for embedder in embedders for part in embedder.parts)
        self.dimensions = sum(self.parts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See Embedder.encode."""
        weights = [np.sqrt(len(embedder.parts) / len(self.parts)) for embedder in self._embedders]
        halves = [weight * embedder.encode(texts) for weight, embedder in zip(weights, self._embedders, strict=True)]
        return np.asarray(np.concatenate(halves, axis=1), dtype=np.float32)
