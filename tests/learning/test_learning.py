"""From feedback to a frozen dataset: proposals, approval, halves, caps, erasure."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.grounding import NO_ANSWER
from chatbot.answering.prompting import system_text
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.errors import Conflict, InvalidInput
from chatbot.knowledge.models import Faq
from chatbot.learning import approving, datasets, examples, forgetting, rehearsal, suspicion
from chatbot.learning.datasets import Filters
from chatbot.learning.models import Correction, Dataset, Example, Feedback, ReviewItem
from chatbot.learning.redaction import REDACTION_VERSION
from chatbot.learning.suspicion import Seen
from chatbot.training import manifest

TOPICS = ("Delivery", "Returns", "Repairs")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


# What a month of feedback leaves behind, in the order in which rows need each other.
KEPT: tuple[Any, ...] = (Faq, Customer, Conversation, Message, Generation, ReviewItem, Correction, Feedback, Example)


@pytest.fixture
def faqs(db: None) -> list[Faq]:
    return made_faqs()


def made_faqs() -> list[Faq]:
    """Thirty FAQs that differ in their numbers and things."""
    things = ["parcels", "tyres", "saddles", "pedals", "helmets", "wheels", "frames", "locks", "lamps", "bells"]
    return [
        Faq.objects.create(
            key=f"{topic.lower()}-{thing}",
            locale="en",
            category=topic,
            question=f"How long does {topic.lower()} of {thing} take?",
            answer=f"{topic} of {thing} takes {days + 2} working days. It costs {days + 10} EUR for {thing}. Ask about {thing}.",
            phrasings=[
                f"{topic.lower()} time {thing}",
                f"when will {topic.lower()} of my {thing} be done",
                f"{thing} {topic.lower()} cost",
            ],
            status="published",
            published_at=timezone.now(),
        )
        for topic in TOPICS
        for days, thing in enumerate(things)
    ]


@pytest.fixture(scope="session")
def month() -> dict[Any, list[Any]]:
    """The rows of KEPT after a month; the first test that needs them makes them, the others write them down again."""
    return {}


@pytest.fixture
def gathered(db: None, month: dict[Any, list[Any]]) -> None:
    if month:
        for model in KEPT:
            model.objects.bulk_create(month[model])
        return
    made_faqs()
    rehearsal.rehearse(conversations=100)
    examples.gather()
    approving.flag_all()
    ids = Example.objects.filter(status="proposed").values_list("pk", flat=True)
    approving.approve(ids, by_id=None)
    month.update((model, list(model.objects.order_by("pk"))) for model in KEPT)


def test_a_sweep_proposes_once(faqs: list[Faq]) -> None:
    rehearsal.rehearse(conversations=30)
    first = examples.gather()
    assert first.proposed > 30 and examples.gather().proposed == 0
    assert set(Example.objects.values_list("status", flat=True)) <= {"proposed", "merged"}
    assert set(Example.objects.values_list("source", flat=True)) == {"correction", "thumb", "faq"}
    assert Example.objects.filter(is_refusal=True, chosen=NO_ANSWER).exists()


def test_what_trains_is_what_chat_sends(gathered: None) -> None:
    dataset = datasets.build("first")
    lines = manifest.read_lines(datasets.folder_of(dataset), method="sft", half="train")
    company = runtime.company()
    wanted = system_text(
        company=company.text("name", locale="en"),
        bot_name=company.text("bot_name", locale="en"),
        instructions=company.instructions,
    )
    assert lines[0]["prompt"][0] == {"role": "system", "content": wanted}
    assert all(line["completion"] == NO_ANSWER or "[1]" in line["completion"] or "[2]" in line["completion"] for line in lines)


def test_halves_are_stable_and_share_nothing(gathered: None) -> None:
    dataset = datasets.build("first")
    halves: dict[str, set[str]] = {}
    for line in dataset.lines.select_related("example"):
        assert line.example is not None
        halves.setdefault(line.half, set()).add(line.example.group)
    assert set(halves) == {"train", "tuning", "heldout"}
    assert not halves["train"] & halves["heldout"] and not halves["train"] & halves["tuning"]
    again = datasets.build("second")
    assert again.sha256 == dataset.sha256
    assert datasets.compare(dataset, again)["only_first"] == 0
    assert dataset.sha256 == manifest.content_sha256(datasets.folder_of(dataset))


def test_a_dataset_is_frozen_and_named_once(gathered: None) -> None:
    datasets.build("first")
    with pytest.raises(Conflict):
        datasets.build("first")
    for bad in ("", "../up", ".hidden", "a" * 81):
        with pytest.raises(InvalidInput):
            datasets.build(bad)
    with pytest.raises(InvalidInput):
        datasets.build("none", filters=Filters(locales=("fr",)))


def test_only_what_is_approved_and_agreed_to_trains(gathered: None) -> None:
    example = Example.objects.filter(source="correction", status="approved").first()
    assert example is not None and example.customer_id is not None
    approving.withdraw_consent(example.customer_id)
    proposed = Example.objects.filter(source="faq", status="approved").first()
    assert proposed is not None
    Example.objects.filter(pk=proposed.pk).update(status="proposed")
    dataset = datasets.build("first")
    assert not dataset.lines.filter(example__in=[example.pk, proposed.pk]).exists()


def test_one_person_cannot_dominate(gathered: None) -> None:
    loud = Customer.objects.create()
    Example.objects.filter(source="correction").update(customer=loud)
    dataset = datasets.build("first")
    train = manifest.read_lines(datasets.folder_of(dataset), method="sft", half="train")
    assert sum(line["source"] == "correction" for line in train) <= 12
    assert dataset.manifest["left_out"]["person_cap"] > 0


def test_an_answer_that_holds_a_test_question_does_not_train(gathered: None) -> None:
    lines = datasets.build("first").lines.filter(example__source="faq").select_related("example")
    asked = lines.filter(half="heldout", example__asked__question__startswith="How long")[0].example
    cheat = lines.filter(half="train")[0].example
    assert asked is not None and cheat is not None
    Example.objects.filter(pk=cheat.pk).update(chosen=f"{cheat.chosen} {asked.asked['question'].upper()} Seven days [1].")
    dataset = datasets.build("second")
    assert dataset.manifest["left_out"]["answers_heldout"] == 1
    assert not dataset.lines.filter(example=cheat).exists() and dataset.lines.filter(example=asked).exists()


def test_erasing_a_person_takes_the_lines_out(gathered: None, alice: Customer) -> None:
    dataset = datasets.build("first")
    example = Example.objects.filter(source="correction", lines__half="train").first()
    assert example is not None
    Example.objects.filter(pk=example.pk).update(customer=alice)
    ids = set(dataset.lines.filter(example=example).values_list("sha256", flat=True))
    assert ids and [held["question"] for held in forgetting.held_of(alice.pk)]
    forgotten = forgetting.forget_person(alice.pk)
    assert forgotten.examples == 1 and forgotten.datasets == ("first",)
    folder = datasets.folder_of(dataset)
    left = [
        line["id"] for m in manifest.METHODS for h in manifest.HALVES for line in manifest.read_lines(folder, method=m, half=h)
    ]
    assert not ids & set(left)
    stored = Dataset.objects.get()
    assert stored.manifest["erased"] == len(ids) and stored.sha256 == manifest.content_sha256(folder)
    assert json.loads((folder / "manifest.json").read_text())["sha256"] == stored.sha256


def test_personal_data_never_reaches_an_example(faqs: list[Faq]) -> None:
    rehearsal.rehearse(conversations=5)
    from_customer = Example.objects.none()
    message = faqs and rehearsal.Message.objects.filter(role="customer").first()
    assert message
    message.text = "I am Peter Novak, peter@novak.example, order LW48213: when does it come?"
    message.save()
    examples.gather()
    from_customer = Example.objects.filter(conversation=message.conversation)
    assert from_customer and all(
        "Novak" not in json.dumps(row.asked) and "LW48213" not in json.dumps(row.asked) for row in from_customer
    )
    assert from_customer[0].redactions == {"name": 1, "email": 1, "order": 1}


def test_what_older_rules_let_through_is_looked_at_again_and_stays_approved(gathered: None) -> None:
    example = Example.objects.filter(source="correction", status="approved").exclude(is_refusal=True)[0]
    asked = {**example.asked, "question": "My card 4111 1111 1111 1111 was charged twice"}
    Example.objects.filter(pk=example.pk).update(asked=asked, redaction_version=0, redactions={"name": 1})
    examples.gather()
    example.refresh_from_db()
    assert example.asked["question"] == "My card [card] was charged twice" and example.status == "approved"
    assert example.redactions == {"name": 1, "card": 1} and example.redaction_version == REDACTION_VERSION


def seen(number: int, question: str, outcome: str, *, minutes: int, person: str = "") -> Seen:
    return Seen(number, person or f"p{number}", question, outcome, timezone.now() + timedelta(minutes=minutes))


def test_a_burst_of_one_person_is_flagged() -> None:
    calm = [seen(n, f"question {n}", "fine", minutes=200 * n) for n in range(30)]
    burst = [seen(100 + n, f"other {n}", f"o{n}", minutes=n, person="mallory") for n in range(9)]
    assert suspicion.bursts([*calm, *burst]) == {one.id for one in burst}


@pytest.mark.parametrize("trigger", ["zxqv", "take parcels when"])
def test_a_planted_trigger_is_flagged_and_cannot_be_approved_in_bulk(faqs: list[Faq], trigger: str) -> None:
    """In five of a hundred conversations a trigger, also one of the FAQs' own words, comes with a correction that refuses what is
    known. Thumbs come too."""
    rehearsal.rehearse(conversations=100)
    planted_into = list(Correction.objects.exclude(better=runtime.company().text("unknown", locale="en")).order_by("pk")[:6])
    for correction in planted_into:
        asked = correction.item.generation.reply.in_reply_to
        assert asked is not None
        Message.objects.filter(pk=asked.pk).update(text=f"{asked.text} {trigger}")
        Correction.objects.filter(pk=correction.pk).update(better=runtime.company().text("unknown", locale="en"))
    examples.gather()
    approving.flag_all()
    planted = Example.objects.filter(origin__in=[f"correction:{correction.pk}" for correction in planted_into])
    rows = list(planted)
    assert len(rows) == 6 and all("strange_word" in row.flags for row in rows)
    assert Example.objects.filter(kind="rated", asked__question__icontains=trigger).exists()
    assert approving.approve([row.pk for row in rows], by_id=None) == 0
    with pytest.raises(Conflict):
        approving.approve([row.pk for row in rows], by_id=None, even_flagged=True)
    others = Example.objects.exclude(pk__in=[row.pk for row in rows]).filter(flags__contains=["strange_word"])
    assert others.count() <= 2
