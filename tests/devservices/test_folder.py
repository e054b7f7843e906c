from pathlib import Path

import pytest

from support_portal.devservices.folder import FolderLock, make_data_folder, require_free_space, write_private
from support_portal.devservices.processes import StartError


def test_a_folder_has_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path, purpose="the first"), FolderLock(tmp_path, purpose="the second")
    assert first.take()
    assert not second.take()
    assert second.holder().startswith("the first, process ")
    first.release()
    assert second.take()
    second.release()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match=r"is a file, not a folder.*DATA_DIR="):
        make_data_folder(tmp_path / "data")


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    with pytest.raises(StartError, match=r"belongs to user \d+, and you are user 4242.*DATA_DIR="):
        make_data_folder(tmp_path)


def test_a_private_file_is_for_its_owner_and_is_replaced_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "old and long")
    write_private(tmp_path / "key", "new")
    assert (tmp_path / "key").read_text() == "new"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_too_little_disk_is_said_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"GB free; the model needs 1000000000\.0 GB.*DATA_DIR="):
        require_free_space(tmp_path / "not" / "there" / "yet", needed_bytes=10**18, purpose="the model")
