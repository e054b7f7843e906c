"""An answer written by the model, shown sentence by sentence as each is verified.

Knows the engine's handle and the checks; knows nothing of retrieval's decisions or of what to say when the model has nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import uuid4

from chatbot.answering.answers import Match, Progress, Question, Waiting
from chatbot.answering.asking import Patience, TooLong, output_of, pieces_of, submit
from chatbot.answering.grounding import Checker, cited_numbers, renumber
from chatbot.answering.language import detect, same_language
from chatbot.answering.prompting import MAX_NEW_TOKENS, MAX_PASSAGES, RULES, Passage, compose_messages
from chatbot.answering.sentences import SentenceStream
from chatbot.answering.waiting import line
from chatbot.engine.requests import ChatMessage, Engine, GenerationHandle, GenerationOutput, GenerationRequest

# Short answers are read; a small model that goes on has begun to copy.
MAX_SENTENCES = 6
_LABEL = re.compile(r"^\s*(?:answer|response|reply|回答|答案|答|回复)\s*[:：]\s*", re.I)
# Under this many letters a sentence's language is a guess.
_MIN_LETTERS = 24
_MIN_WIDE = 8

_MARKS_FIRST = re.compile(r"\A(\s*(?:[-*]\s+)?)((?:\[\d{1,2}\]\s*)+)(\S.*?)([.!?。！？]*\s*)\Z", re.S)
_END = re.compile(r"[.!。！]?\s*\Z")

Outcome = Literal["written", "no_answer", "withheld", "cancelled", "failed", "queue_long"]


@dataclass
class Draft:
    """The verified text so far.

    parts: the sentences, each with the number of the passage it comes from. support: for each the statement it rests on.
    numbers: passage number -> the number the customer sees, by first appearance.
    """

    checker: Checker
    language: str
    text: str = ""
    parts: list[tuple[str, int]] = field(default_factory=list)
    support: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    withheld: list[dict[str, Any]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    outcome: Outcome = "written"
    ended: bool = False

    def add(self, sentence: str, *, passages: int) -> bool:
        """Append a sentence if it may be shown; tells whether it was."""
        sentence = _marks_last(sentence if self.text else _LABEL.sub("", sentence).lstrip("\"'“ \n"))
        plain = renumber(sentence, numbers={}).strip()
        reasons = self.checker.check(sentence).reasons or self._language_fault(plain) or _question_fault(plain)
        if reasons:
            self._withhold(sentence, reasons)
            return False
        if not plain.strip("\"'”。. *-") or plain in self.said:
            return False
        self.said.add(plain)
        self.parts.append((sentence, self.checker.source_of(plain) + 1))
        self._note_support(plain, cited=[number for number in cited_numbers(sentence) if 1 <= number <= passages])
        shown = {}
        for cited in cited_numbers(sentence):
            if 1 <= cited <= passages:
                number = self.checker.source_of(plain, cited=cited - 1) + 1
                shown[cited] = self.numbers.setdefault(number, len(self.numbers) + 1)
        self.text += renumber(sentence, numbers=shown)
        self.ended = len(self.parts) >= MAX_SENTENCES
        return True

    def _note_support(self, plain: str, *, cited: Sequence[int]) -> None:
        passage = self.checker.source_of(plain, cited=cited[0] - 1 if cited else None)
        found = self.checker.support(plain, passage=passage)
        self.support.append(
            {"passage": passage + 1, "quote": found.statement.text if found else "", "score": found.score if found else 0.0}
        )

    def _withhold(self, sentence: str, reasons: Sequence[str]) -> None:
        self.withheld.append({"sentence": sentence.strip(), "reasons": list(reasons)})
        if "no_answer" in reasons:
            self.ended = True
            self.outcome = "written" if self.text.strip() else "no_answer"
        elif any(reason.startswith(("fact:", "misplaced:", "commitment:", "name:")) for reason in reasons):
            self.ended = True
            self.outcome = "withheld"

    def _language_fault(self, words: str) -> list[str]:
        wide = self.language in ("ja", "ko", "zh-hans", "zh-hant")
        if sum(character.isalpha() for character in words) < (_MIN_WIDE if wide else _MIN_LETTERS):
            return []
        found = detect(words, fallback=self.language)
        return [] if found.split("-")[0] == self.language.split("-")[0] else [f"language:{found}"]


@dataclass
class Composed:
    """How the writing ended.

    text: verified, with the customer's citation numbers; cited: number -> match, in their order. support: for each sentence the
    statement of the source that carries it, with the key and revision it stands in and the number the customer sees, if any.
    """

    outcome: Outcome
    text: str
    cited: dict[int, Match]
    withheld: list[dict[str, Any]]
    output: GenerationOutput
    first_text_at: float | None
    support: list[dict[str, Any]] = field(default_factory=list)
    # What the model was given.
    prompt: tuple[ChatMessage, ...] = ()

    def quotes_of(self, number: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item["quote"] for item in self.support if item["citation"] == number and item["quote"]))


def compose(
    question: Question,
    *,
    matches: Sequence[Match],
    language: str,
    engine: Engine,
    should_stop: Callable[[], bool],
    deadline_at: float,
    patience: Patience,
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> Iterator[Progress | Waiting | Composed]:
    """Let the model write from the matches; the last item is the Composed. deadline_at: on time.monotonic's clock.

    Raises EngineError when the engine takes no request, EngineBusy when patience allows no more asking. Stops the model at the
    first sentence whose facts no source has: the caller falls back to the source's own text, so the rest would be written for
    nobody.
    """
    matches = matches[:MAX_PASSAGES]
    request = replace(_request(question, matches=matches, language=language, engine=engine), max_new_tokens=max_new_tokens)
    with line.join(engine) as place:
        handle = yield from submit(
            request, engine=engine, place=place, should_stop=should_stop, deadline_at=deadline_at, patience=patience
        )
        if handle is None:
            yield Composed("cancelled", "", {}, [], GenerationOutput(text="", finish_reason="cancelled"), None)
            return
        pieces = pieces_of(
            handle, place=place, should_stop=should_stop, deadline_at=deadline_at, begin_by=time.monotonic() + patience.begin_s
        )
        for step in _checked(pieces, handle=handle, question=question, matches=matches, language=language):
            yield replace(step, prompt=tuple(request.messages)) if isinstance(step, Composed) else step


def _checked(
    pieces: Iterator[str | Waiting | TooLong],
    *,
    handle: GenerationHandle,
    question: Question,
    matches: Sequence[Match],
    language: str,
) -> Iterator[Progress | Waiting | Composed]:
    """Show the model's text sentence by sentence, as far as each can be verified."""
    checker = _checker(question, matches=matches, language=language)
    draft = Draft(checker=checker, language=language)
    stream = SentenceStream()
    first_text_at = None
    for piece in pieces:
        if isinstance(piece, TooLong):
            draft.outcome, draft.ended = "queue_long", True
            break
        if isinstance(piece, Waiting):
            yield piece
            continue
        for sentence in stream.push(piece):
            if not draft.ended and draft.add(sentence, passages=len(matches)):
                first_text_at = first_text_at or time.monotonic()
                yield Progress(draft.text.strip())
        if draft.ended:
            handle.cancel()
            break
    output = output_of(handle)
    _finish(draft, stream, output=output, passages=len(matches))
    yield _composed(draft, matches=matches, output=output, first_text_at=first_text_at)


def request_for(question: Question, *, matches: Sequence[Match], language: str, engine: Engine) -> GenerationRequest:
    """The request that `compose` makes, for who submits it otherwise (an agent's draft) and checks it with `check_whole`."""
    return _request(question, matches=matches[:MAX_PASSAGES], language=language, engine=engine)


def check_whole(output: GenerationOutput, *, question: Question, matches: Sequence[Match], language: str) -> Composed:
    """Verify an answer that is written already, as `compose` verifies one that is being written."""
    matches = matches[:MAX_PASSAGES]
    draft = Draft(checker=_checker(question, matches=matches, language=language), language=language)
    stream = SentenceStream()
    for sentence in stream.push(output.text):
        if not draft.ended:
            draft.add(sentence, passages=len(matches))
    _finish(draft, stream, output=output, passages=len(matches))
    return _composed(draft, matches=matches, output=output, first_text_at=None)


def _checker(question: Question, *, matches: Sequence[Match], language: str) -> Checker:
    customer = [question.text, *(turn.text for turn in question.history if turn.role == "user")]
    return Checker(
        [f"{match.question}\n{match.answer}" for match in matches],
        customer=customer,
        rules=f"{RULES}\n{question.company.instructions}",
        same_language=any(same_language(match.locale, language) for match in matches),
        asked=question.text,
        names=[question.company.name, question.company.text("bot_name", locale=language)],
        language=language,
    )


def _request(question: Question, *, matches: Sequence[Match], language: str, engine: Engine) -> GenerationRequest:
    messages = compose_messages(
        question.text,
        passages=[Passage(question=match.question, answer=match.answer) for match in matches],
        language=language,
        history=question.history,
        company=question.company.text("name", locale="en"),
        bot_name=question.company.text("bot_name", locale="en"),
        instructions=question.company.instructions,
        count_tokens=engine.count_tokens,
    )
    return GenerationRequest(
        request_id=uuid4().hex,
        messages=messages,
        conversation=question.conversation,
        version=question.version,
    )


def _finish(draft: Draft, stream: SentenceStream, *, output: GenerationOutput, passages: int) -> None:
    """Judge what was left in the stream. A sentence that was cut off is not shown, unless it is all there is."""
    rest = stream.flush()
    if output.finish_reason in ("cancelled", "deadline", "length") and draft.text.strip():
        rest = rest[:-1]
    for sentence in rest:
        if not draft.ended and output.finish_reason != "cancelled":
            draft.add(sentence, passages=passages)
    if draft.ended:
        return
    if output.finish_reason == "cancelled":
        draft.outcome = "cancelled"
    elif output.finish_reason == "error":
        draft.outcome = "failed"
    elif draft.text.strip() and not draft.checker.stands(draft.text):
        draft.outcome = "no_answer"
    elif not draft.text.strip():
        draft.outcome = "failed" if output.finish_reason == "deadline" else "no_answer" if _strayed(draft) else "withheld"


def _strayed(draft: Draft) -> bool:
    """Tell whether the model spoke of nothing but what the passages do not: then they hold no answer."""
    return bool(draft.withheld) and all(item["reasons"] == ["off_topic"] for item in draft.withheld)


def _question_fault(words: str) -> list[str]:
    """A model that asks has begun to repeat the passages' questions; asking back is the pipeline's own business."""
    return ["question"] if words.rstrip("\"'”* ").endswith(("?", "？", "؟")) else []


def _with_marks(draft: Draft) -> str:
    """Cite for a model that did not: after the last sentence of each run that comes from the same passage."""
    text = ""
    for index, (sentence, passage) in enumerate(draft.parts):
        sentence = renumber(sentence, numbers={})
        if index + 1 == len(draft.parts) or draft.parts[index + 1][1] != passage:
            number = draft.numbers.setdefault(passage, len(draft.numbers) + 1)
            sentence = _END.sub(rf" [{number}]\g<0>", sentence, count=1)
        text += sentence
    return text.strip()


def _marks_last(sentence: str) -> str:
    """Move citation marks from the head of a sentence to its end, where readers look for them."""
    return _MARKS_FIRST.sub(lambda found: f"{found[1]}{found[3]} {found[2].strip()}{found[4]}", sentence)


def _composed(draft: Draft, *, matches: Sequence[Match], output: GenerationOutput, first_text_at: float | None) -> Composed:
    text = draft.text.strip()
    if text and not draft.numbers:
        text = _with_marks(draft)
    cited = {shown: matches[number - 1] for number, shown in draft.numbers.items()}
    support = [
        {
            "citation": draft.numbers.get(item["passage"]),
            "key": matches[item["passage"] - 1].key,
            "revision": matches[item["passage"] - 1].revision,
            "quote": item["quote"],
            "score": item["score"],
        }
        for item in draft.support
    ]
    return Composed(draft.outcome, text, cited, draft.withheld, output, first_text_at, support)
