"""A small bicycle shop, and an embedder of hashed words that needs no weights: the second implementation of the interface."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from chatbot.engine.embedder import Vectors
from chatbot.knowledge.lexical import tokens


class WordEmbedder:
    """Texts with words in common are alike. Counts what it embeds."""

    parts = (64,)
    dimensions = 64

    def __init__(self, name: str = "words/1") -> None:
        self.name = name
        self.embedded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.embedded.extend(texts)
        vectors = np.full((len(texts), self.dimensions), 0.01, dtype=np.float32)
        for row, text in enumerate(texts):
            for token in tokens(text):
                digest = hashlib.sha256(token.encode()).digest()
                vectors[row, digest[0] % 64] += 1
                vectors[row, digest[1] % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


SHOP = [
    {
        "key": "returns",
        "locale": "en",
        "category": "Orders",
        "question": "How do I return an item?",
        "phrasings": ["send something back", "I want to return my jacket", "return an order", "give an item back"],
        "answer": "Send it back within **30 days**.",
    },
    {
        "key": "returns",
        "locale": "zh-hans",
        "category": "Orders",
        "question": "怎么退货？",
        "phrasings": ["我想退货", "退货流程", "商品不合适怎么退"],
        "answer": "请在 **30 天**内寄回。",
    },
    {
        "key": "delivery",
        "locale": "en",
        "category": "Delivery",
        "question": "How long does delivery take?",
        "phrasings": ["when will my parcel arrive", "delivery time", "how many days until the parcel comes", "shipping duration"],
        "answer": "1 to 3 working days.",
    },
    {
        "key": "hours",
        "locale": "en",
        "category": "Stores",
        "question": "When are the stores open?",
        "phrasings": ["opening hours", "are you open on sunday", "what time do you close", "store opening times"],
        "answer": "Daily from 10:00 to 20:00.",
    },
]


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()
