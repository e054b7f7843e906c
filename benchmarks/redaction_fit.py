"""Make chatbot/learning/name_tagger.safetensors: the table that tells names and addresses from other words.

    pip install faker && python benchmarks/redaction_fit.py --data ../shared/data/pii/sentences.jsonl --plain FILE...

Learns from the first half of the marked sentences only (benchmarks/redaction.py measures on the second), from copies of them with
other people's names, places and companies put in, and from plain questions that hold no personal data.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chatbot.learning.name_tagger import BUCKETS, MODEL_FILE, TAGS, history_features, static_features, tokens_of  # noqa: E402

TAG_OF = {"PERSON": "name", "STREET_ADDRESS": "address", "ZIP_CODE": "address", "GPE": "place", "ORGANIZATION": "organisation"}
LOCALES = [
    "en_US",
    "en_GB",
    "en_AU",
    "en_IN",
    "en_CA",
    "de_DE",
    "fr_FR",
    "es_ES",
    "it_IT",
    "pt_BR",
    "pt_PT",
    "nl_NL",
    "pl_PL",
    "cs_CZ",
    "sk_SK",
    "hu_HU",
    "sv_SE",
    "da_DK",
    "no_NO",
    "fi_FI",
    "hr_HR",
    "sl_SI",
    "ro_RO",
    "tr_TR",
    "lt_LT",
    "lv_LV",
    "et_EE",
    "de_CH",
    "fr_CH",
    "de_AT",
    "en_IE",
    "es_MX",
]
SERVICE = (
    "Hi, this is {name}, order LW48213 has not arrived.",
    "my name is {name} and i bought a bike last week",
    "I'm {first}, can you help me?",
    "Regards,\n{name}",
    "thanks, {first}",
    "Hello {first}, your parcel is on its way.",
    "Please change the name on the order to {name}.",
    "the parcel was left with my neighbour {name}",
    "Send it to {name}, {address} please",
    "I moved, my new address is {address}",
    "deliver to {address} instead",
    "can i have it shipped to {address}?",
    "I spoke to {first} in the workshop yesterday and {first} said it was fine.",
    "It is under my wife's name, {name}.",
    "Mr. {last} from the shop in {city} called me.",
    "Do you deliver to {city}?",
    "is there a store in {city} or {city}",
    "I bought it for {first}'s birthday",
    "The rider is called {name}.",
    "We at {company} want to order twelve bikes.",
    "{name}: when will it come? Agent: Let me look.",
    "You can reach {first} {last} at the office.",
)
ADDRESSES = (
    "{number} {street}",
    "{number} {street}, {city}",
    "{street} {number}, {zip} {city}",
    "{number} {street} Apt. {number}, {city} {zip}",
    "{street} {number}",
    "Flat {number}, {number} {street}, {city}",
    "{long} {number} {street} Apt. {number}\n{city}\n, XY\n {zip}",
    "{long} {street} {number} Suite {number} {city} {zip}",
    "{long} {number} {street}, {city}",
    "{long} {street} {number}\n Suite {number}\n {city}\n {city} {zip}",
    "the corner of {street} {number} and {street}",
    "the corner of {street} and {number} {street}",
    "{number} {street}\n{zip} {city}",
)
HIDDEN = 0.1
Marked = list[tuple[str, str]]


class Invented:
    """Other people's data, from many countries."""

    def __init__(self, rng: random.Random) -> None:
        from faker import Faker

        self._rng = rng
        self._fakers = {locale: Faker(locale) for locale in LOCALES}
        for faker in self._fakers.values():
            faker.seed_instance(rng.randrange(1 << 30))

    def of(self, kind: str) -> str:
        faker = self._fakers[self._rng.choice(LOCALES)]
        make = {"first": "first_name", "last": "last_name", "city": "city", "company": "company", "street": "street_name"}
        try:
            return str(getattr(faker, make[kind])()).split(",")[0]
        except AttributeError:
            return str(getattr(self._fakers["en_US"], make[kind])())

    def like(self, tag: str, words: str) -> str:
        """Something of the same kind and shape as `words`."""
        if tag == "name":
            parts = words.split()
            new = self.of("first") if len(parts) == 1 else f"{self.of('first')} {self.of('last')}"
            if len(parts) == 1 and self._rng.random() < 0.5:
                new = self.of("last")
            if len(parts) == 3 and len(parts[1]) <= 2:
                first, last = new.split(" ", 1)
                new = f"{first} {chr(65 + self._rng.randrange(26))}. {last}"
        elif tag == "place":
            new = self.of("city")
        elif tag == "organisation":
            new = self.of("company") if self._rng.random() < 0.4 else words
        else:
            new = " ".join(self._word(word) for word in words.split(" "))
            if self._rng.random() < 0.3 and len(words) > 8:
                new = self.address()[0][0]
        return new.lower() if words.islower() else new.upper() if words.isupper() and len(words) > 3 else new

    def address(self) -> Marked:
        text = self._rng.choice(ADDRESSES)
        for key in ("street", "city"):
            while f"{{{key}}}" in text:
                text = text.replace(f"{{{key}}}", self.of(key), 1)
        while "{long}" in text:
            text = text.replace("{long}", "".join(str(self._rng.randrange(10)) for _ in range(self._rng.randrange(3, 6))), 1)
        while "{number}" in text:
            text = text.replace("{number}", str(self._rng.randrange(1, 900)), 1)
        return [(text.replace("{zip}", str(self._rng.randrange(10000, 99999))), "address")]

    def _word(self, word: str) -> str:
        if word.isdigit():
            return "".join(str(self._rng.randrange(10)) for _ in word)
        if len(word) > 4 and word[0].isupper() and self._rng.random() < 0.5:
            return self.of(self._rng.choice(["last", "city"])).split(" ")[0]
        return word


def marked(sentence: dict[str, Any]) -> Marked:
    """Cut a sentence into (words, tag) pieces; where marks overlap, the longest counts."""
    spans = sorted(
        (
            (s["start_position"], s["end_position"], TAG_OF[s["entity_type"]])
            for s in sentence["spans"]
            if s["entity_type"] in TAG_OF
        ),
        key=lambda span: span[0] - span[1],
    )
    tags = ["other"] * len(sentence["text"])
    for start, end, tag in spans:
        if all(t == "other" for t in tags[start:end]):
            tags[start:end] = [tag] * (end - start)
    pieces: Marked = []
    for letter, tag in zip(sentence["text"], tags, strict=True):
        if pieces and pieces[-1][1] == tag:
            pieces[-1] = (pieces[-1][0] + letter, tag)
        else:
            pieces.append((letter, tag))
    return pieces


def augmented(sentences: Sequence[Marked], invented: Invented, rng: random.Random, *, copies: int) -> Iterator[Marked]:
    for sentence in sentences:
        yield sentence
        for _ in range(copies):
            new = [(words if tag == "other" else invented.like(tag, words), tag) for words, tag in sentence]
            yield [(words.lower(), tag) for words, tag in new] if rng.random() < 0.2 else new


def service(invented: Invented, rng: random.Random, *, count: int) -> Iterator[Marked]:
    kinds = {"first": "name", "last": "name", "city": "place", "company": "organisation"}
    for _ in range(count):
        pieces: Marked = []
        rest = rng.choice(SERVICE)
        while "{" in rest:
            before, _, rest = rest.partition("{")
            kind, _, rest = rest.partition("}")
            pieces.append((before, "other"))
            if kind == "address":
                pieces += invented.address()
            elif kind == "name":
                pieces.append((f"{invented.of('first')} {invented.of('last')}", "name"))
            else:
                pieces.append((invented.of(kind), kinds[kind]))
        pieces.append((rest, "other"))
        yield [(words.lower(), tag) for words, tag in pieces] if rng.random() < 0.25 else pieces


def lesson(pieces: Marked) -> tuple[list[list[int]], list[int]]:
    text = "".join(words for words, _ in pieces)
    tags = [tag for words, tag in pieces for _ in words]
    tokens = tokens_of(text)
    return static_features(tokens), [TAGS.index(tags[token.start]) for token in tokens]


def fit(lessons: list[tuple[list[list[int]], list[int]]], *, epochs: int, rng: random.Random) -> np.ndarray[Any, Any]:
    """Averaged perceptron. Returns (BUCKETS, tags)."""
    weights = np.zeros((BUCKETS, len(TAGS)), np.float32)
    drift = np.zeros_like(weights)
    step = 1
    for epoch in range(epochs):
        rng.shuffle(lessons)
        wrong = total = 0
        for static, truth in lessons:
            previous = before = -1
            for features, right in zip(static, truth, strict=True):
                # A tenth of the features is hidden at random, so that no single word carries a tag alone.
                seen = [feature for feature in features if rng.random() > HIDDEN]
                indices = np.array(seen + history_features(previous, before))
                guess = int(weights[indices].sum(axis=0).argmax())
                if guess != right:
                    wrong += 1
                    for table, size in ((weights, 1.0), (drift, float(step))):
                        np.add.at(table, (indices, right), size)
                        np.add.at(table, (indices, guess), -size)
                before, previous = previous, guess
                step += 1
                total += 1
        print(f"epoch {epoch + 1}: {wrong / total:.2%} of {total} words wrong", flush=True)
    return weights - drift / step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--plain", type=Path, nargs="*", default=[], help="JSONL files whose `text` or `answer` holds no personal data"
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--out", type=Path, default=MODEL_FILE)
    options = parser.parse_args()
    rng = random.Random(11)
    invented = Invented(rng)
    lines = [json.loads(line) for line in options.data.read_text().splitlines()]
    sentences = [marked(line) for line in lines[: len(lines) // 2]]
    plain: list[Marked] = []
    for path in options.plain:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        plain += [[(row.get("text") or row["answer"], "other")] for row in rng.sample(rows, min(len(rows), 500))]
    material = [*augmented(sentences, invented, rng, copies=options.copies), *service(invented, rng, count=1200), *plain]
    print(f"{len(material)} texts")
    weights = fit([lesson(pieces) for pieces in material], epochs=options.epochs, rng=rng)
    save_file({"weights": weights.astype(np.float16)}, options.out)
    print(
        f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, {np.count_nonzero(weights) / weights.size:.0%} of it in use"
    )


if __name__ == "__main__":
    main()
