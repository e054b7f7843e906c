"""The sheet that "?" opens."""

from __future__ import annotations

# (title, [(keys, what they do)]); what the keys press stands in the templates as data-key.
SHORTCUTS: list[tuple[str, list[tuple[str, str]]]] = [
    (
        "Lists",
        [
            ("1 – 8", "Open a queue, from “Waiting” to “All”"),
            ("j  k", "Next, previous conversation"),
            ("Enter", "Open it"),
            ("/", "Search messages and notes"),
            ("f", "Filters"),
            ("s", "Save this list under a name"),
            ("x", "Select, or select no longer"),
            ("g", "Show what is new at the top"),
            (".", "Next page"),
            ("u", "Back to the list"),
        ],
    ),
    (
        "A conversation, or all that are selected",
        [
            ("t", "Take over"),
            ("b", "Hand back to the bot"),
            ("o", "Put back into the queue"),
            ("e", "Resolve, or open again"),
            ("a", "Assign"),
            ("l", "Tags"),
            ("p", "Priority"),
            ("z", "Undo"),
        ],
    ),
    (
        "Writing",
        [
            ("r", "Write to the customer"),
            ("n", "Write a note for colleagues; @name calls somebody"),
            ("Enter", "Send"),
            ("Shift + Enter", "New line"),
            ("Escape", "Leave the field, close what is open"),
            ("m", "Open how the last answer came about"),
        ],
    ),
]
