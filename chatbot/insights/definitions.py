"""What each number means, in one sentence. The pages and the export say these words, facts.py and reports.py count by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

# Left alone for so long, a conversation has ended.
QUIET_AFTER = timedelta(hours=24)
# A customer who writes again within this time of the end was not done.
REOPENED_WITHIN = timedelta(hours=72)
# Of one to five: what counts as content, and what as not.
GOOD_SCORE = 4
BAD_SCORE = 2


@dataclass(frozen=True)
class Definition:
    name: str
    title: str
    sentence: str


# Every conversation has exactly one of these.
OUTCOMES = (
    Definition(
        "confirmed",
        "Answered by the bot, confirmed",
        "Only the bot answered, and the customer said that it helped: a thumb up for its last answer, or four or five of five "
        "points for the bot.",
    ),
    Definition(
        "assumed",
        "Answered by the bot, assumed",
        "Only the bot answered, its last reply was an answer that nobody rated down, and the conversation was closed or the "
        "customer wrote nothing for 24 hours.",
    ),
    Definition("handed_off", "Handed off", "A person wrote in the conversation, has it, or the customer still waits for one."),
    Definition(
        "abandoned",
        "Abandoned",
        "The customer left without help: the bot's last reply was no answer (a question back, “I don't know”, an error), or was "
        "rated down, or he had asked for a person and none came.",
    ),
    Definition("open", "Still going on", "Somebody wrote within the last 24 hours and nothing is decided yet."),
)
REOPENED = Definition(
    "reopened",
    "Reopened within 72 hours",
    "The customer wrote again within 72 hours after the conversation was closed, or, where nobody closed it, after 24 hours of "
    "silence; it is also counted under its outcome.",
)
CONVERSATIONS = Definition(
    "conversations", "Conversations", "Conversations in which a customer wrote, counted on the day of his first message."
)
ANSWERED = Definition("answered", "Answered by the bot", "Confirmed and assumed together: no person was needed.")
FIRST_RESPONSE = Definition(
    "first_response", "First response", "From the customer's first message to the first reply of anybody, complete on his screen."
)
PERSON_RESPONSE = Definition(
    "person_response", "First words of a person", "From the customer's wish for a person to that person's first message."
)
RESOLUTION = Definition(
    "resolution",
    "Resolution",
    "From the customer's first message to its closing, or to the bot's last answer where it ended in silence.",
)
CSAT_BOT = Definition(
    "csat_bot",
    "Satisfaction with the bot",
    "Mean of the points, one to five, that customers gave the bot when a conversation ended.",
)
CSAT_PERSON = Definition(
    "csat_person",
    "Satisfaction with the team",
    "Mean of the points, one to five, that customers gave the person when a conversation ended.",
)
QUEUE = Definition(
    "queue", "Wait for the model", "Of the first reply the model wrote: waiting for a worker and in the model's queue."
)
FIRST_TEXT = Definition(
    "first_text", "First words on the screen", "Of the first reply the model wrote: from the message to its first words."
)
DEFINITIONS = (
    *(CONVERSATIONS, ANSWERED, *OUTCOMES, REOPENED),
    *(FIRST_RESPONSE, PERSON_RESPONSE, RESOLUTION, CSAT_BOT, CSAT_PERSON, QUEUE, FIRST_TEXT),
)
