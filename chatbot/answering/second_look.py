"""A second look at what the search has found: the model tells of each likely entry whether it settles the question.

The likelihood is read from the model's inside where there is a head for its weights (look_head), else from how probable it held
its one word, yes or no. The search compares wordings and is sure of what it has seen said that way; the model reads the entry and
knows that "Do you sell insurance?" is not answered by "Was your bike stolen?". Both together tell far more than either. Knows
engine and prompt; what follows from the likelihoods is the pipeline's business.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np

from chatbot.answering.answers import Match, Question, Waiting
from chatbot.answering.asking import Patience, TooLong, output_of, pieces_of, submit
from chatbot.answering.look_head import Join, LookHead, behind, head_for, log_odds
from chatbot.answering.prompting import MAX_QUESTION_CHARS, neutralise, one_line
from chatbot.answering.understanding import points_back
from chatbot.answering.waiting import line
from chatbot.engine.requests import ChatMessage, Engine, EngineError, GenerationHandle, GenerationOutput, GenerationRequest
from chatbot.knowledge.confidence import Marks, on_scale

# Entries looked at: on the demo questions the right one is among the first three in 97 of 100 cases.
MAX_LOOKS = 3
# What a customer waits for is the reading: about 4 ms a token on two cores. Answers say what they are about at their start.
_MAX_ANSWER_CHARS = 400
# What a passage of a document says may stand at its end: up to 180 words.
_MAX_PASSAGE_CHARS = 1200
_MAX_BEFORE_CHARS = 300

# The examples cost nothing after the first look: the engine keeps the start that all prompts share.
RULES = """You check whether a passage of a company's FAQ answers a customer's message. Write Yes if the passage settles what \
the customer wants to know or to get done, even if the words differ. Write No if it does not say it, or only speaks of \
something similar.
Examples. Passage: How long do repairs take? Most take 5 days. Urgent ones cost 20 EUR more.
Customer: "can u fix my lamp by tomorow" Answer: Yes
Customer: "do you repair toasters" Answer: No
Passage: Can I send a lamp back? Yes, within 14 days, unused.
Customer: "the lamp is too small for my desk, i dont want it" Answer: Yes
Customer: "which lamp is the brightest" Answer: No"""

_YES = re.compile(r"\W*y", re.I)
_NO = re.compile(r"\W*n", re.I)
# A server that tells no probabilities: what its word is worth on average.
_BARE_YES, _BARE_NO = 0.72, 0.42
# For the likelihood of its word. Fitted with Qwen2.5-Coder-1.5B on the first three entries of the demo's unsure questions, that
# half of them whose hash is even.
BY_WORD = Join(
    which_behind=3.25, which_told=3.53, whether_bias=-0.28, whether_search=0.36, whether_told=3.05, just_said=1.0, neutral=0.55
)
# From which joined likelihood on an entry is sure, likely, and worth offering.
MARKS = Marks(direct=0.65, compose=0.45, clarify=0.15)


@dataclass(frozen=True)
class Told:
    """likelihoods: that each entry answers; None where the model said neither, or had no place for that one. join: theirs."""

    likelihoods: tuple[float | None, ...]
    join: Join = BY_WORD


def look_messages(question: Question, match: Match) -> list[ChatMessage]:
    """The prompt of one look. Text of customers and FAQs is data here as well."""
    most = _MAX_PASSAGE_CHARS if match.faq_id is None else _MAX_ANSWER_CHARS
    passage = f"{neutralise(match.question)} {neutralise(match.answer)[:most]}"
    # People change the subject: beside another one, a right entry's likelihood falls from a half to a twentieth.
    back = points_back(question.text)
    before = next((turn.text for turn in reversed(question.history) if turn.role == "user"), "") if back else ""
    said = f'Before, the customer asked: "{one_line(before)[:_MAX_BEFORE_CHARS]}"\n' if before.strip() else ""
    asked = f'{said}Customer: "{one_line(question.text)[:MAX_QUESTION_CHARS]}"'
    task = f"Passage: {passage}\n\n{asked}\nDoes the passage answer this? Write Yes or No."
    return [ChatMessage("system", RULES), ChatMessage("user", task)]


def look_request(question: Question, match: Match, *, layer: int | None = None, version: str = "") -> GenerationRequest:
    """No conversation: nothing of it is worth keeping for the next turn. layer: what a head reads."""
    messages = look_messages(question, match)
    return GenerationRequest(uuid4().hex, messages, max_new_tokens=1, logprobs=True, hidden_layer=layer, version=version)


def is_look(request: GenerationRequest) -> bool:
    """Tell a look from a request for an answer."""
    return bool(request.messages) and request.messages[0].content == RULES


def yes_of(output: GenerationOutput) -> float | None:
    """How probable "yes" was; None where the model said neither."""
    certain = math.exp(output.logprobs[0]) if output.logprobs else None
    if _YES.match(output.text):
        return _BARE_YES if certain is None else certain
    if _NO.match(output.text):
        return _BARE_NO if certain is None else 1 - certain
    return None


def told_of(outputs: Sequence[GenerationOutput], *, head: LookHead | None, most: int) -> Told:
    """Read each output by the head if the engine has told what it reads, else by its word. most: how many were to be asked of."""
    missing = (None,) * (most - len(outputs))
    if head:
        read = tuple(head.likelihood(output.hidden) for output in outputs)
        if None not in read:
            return Told(read + missing, head.join)
    return Told(tuple(yes_of(output) for output in outputs) + missing)


def look_at_each(
    question: Question,
    *,
    matches: Sequence[Match],
    engine: Engine,
    should_stop: Callable[[], bool],
    deadline_at: float,
    patience: Patience,
) -> Iterator[Waiting | TooLong | Told]:
    """Ask of each entry, all at once; the last item is what was told, or TooLong, or nothing comes where the customer stopped.

    Raises EngineError when the engine takes none of them.
    """
    base = engine.versions[0]
    head = head_for(base, folder=question.look_heads)
    # A head was fitted on the base weights, so these are asked whoever writes; a word is the live version's.
    layer, version = (head.layer, base) if head else (None, "")
    requests = [look_request(question, match, layer=layer, version=version) for match in matches]
    with line.join(engine) as place:
        first = yield from submit(
            requests[0], engine=engine, place=place, should_stop=should_stop, deadline_at=deadline_at, patience=patience
        )
        if first is None:
            return
        handles = [first, *_also(requests[1:], engine=engine, deadline_at=deadline_at)]
        begin_by = time.monotonic() + patience.begin_s
        for handle in handles:
            for piece in pieces_of(handle, place=place, should_stop=should_stop, deadline_at=deadline_at, begin_by=begin_by):
                if isinstance(piece, str):
                    continue
                yield piece
                if isinstance(piece, TooLong):
                    _cancel(handles)
                    return
            if handle.cancelled:
                _cancel(handles)
                return
        yield told_of([output_of(handle) for handle in handles], head=head, most=len(matches))


def _also(requests: Sequence[GenerationRequest], *, engine: Engine, deadline_at: float) -> Iterator[GenerationHandle]:
    """The other entries are asked of while there is room; the first is the likeliest."""
    for request in requests:
        try:
            yield engine.submit(replace(request, deadline_s=max(deadline_at - time.monotonic(), 0.1)))
        except EngineError:
            return


def _cancel(handles: Sequence[GenerationHandle]) -> None:
    for handle in handles:
        handle.cancel()


def just_said(question: Question, match: Match) -> bool:
    """Whether the last reply held the entry's whole answer."""
    last = next((turn.text for turn in reversed(question.history) if turn.role == "assistant"), "")
    return bool(match.answer.strip()) and match.answer.strip() in last


def looked_confidences(told: Told, *, scores: Sequence[float], confidence: float, said: Sequence[bool] = ()) -> list[float]:
    """Join what the model told of each entry with what the search knew, on the scale of confidence; best first is not implied.

    scores: the search's, in its order; confidence: its confidence in the first. said: which entries the customer has just read.
    """
    join = told.join
    odds = np.array([log_odds(join.neutral if one is None else one) for one in told.likelihoods])
    odds[np.flatnonzero(said)] -= join.just_said
    which = join.which_told * odds - join.which_behind * behind(scores)
    shares = np.exp(which - which.max())
    shares /= shares.sum()
    likeliest = float(odds[shares.argmax()])
    whether = join.whether_bias + join.whether_search * log_odds(confidence) + join.whether_told * likeliest
    return [float(one) for one in on_scale(shares / (1 + math.exp(-whether)), marks=MARKS)]
