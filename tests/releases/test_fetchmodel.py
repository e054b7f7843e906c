"""`manage.py fetchmodel` is a thin door: a folder in, its place out, a coded sentence when refused."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.engine.tiny_files import write_model_folder


def test_a_folder_is_fetched_into_the_models_folder(tmp_path: Path, settings: object) -> None:
    settings.MODELS_DIR = tmp_path / "models"  # type: ignore[attr-defined]
    out = StringIO()
    call_command("fetchmodel", str(write_model_folder(tmp_path / "mine")), "--no-progress", stdout=out)
    assert out.getvalue().strip() == str(tmp_path / "models" / "mine")
    assert (tmp_path / "models" / "mine" / "manifest.json").is_file()


def test_a_refusal_says_its_code(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"no model called nothing is known.*\[model_source_unknown\]"):
        call_command("fetchmodel", "pypi:nothing", "--models-dir", str(tmp_path))
