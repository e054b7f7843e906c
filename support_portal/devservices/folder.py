"""The data folder: one owner at a time, private files, enough room."""

import fcntl
import os
import shutil
from pathlib import Path

from support_portal.devservices.processes import StartError


class FolderLock:
    """Hold a folder for one process; the kernel lets go when the process ends, however it ends."""

    def __init__(self, folder: Path, *, purpose: str) -> None:
        self.folder = folder
        self.purpose = purpose
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> bool:
        """Return whether the folder is ours now; False when another process holds it."""
        make_data_folder(self.folder)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self.purpose}, process {os.getpid()}".encode(), 0)
        self._descriptor = descriptor
        return True

    def holder(self) -> str:
        """Return who holds the folder, in words."""
        return (self.folder / "lock").read_text(errors="replace").strip() or "another process"

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def make_data_folder(folder: Path) -> None:
    """Make the folder (others may pass through, not look), or say why it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        owner = folder.stat().st_uid
    except FileExistsError as error:
        raise StartError(f"{folder} is a file, not a folder. Choose another one: DATA_DIR=some/folder") from error
    except OSError as error:
        raise StartError(f"The data folder {folder} cannot be made: {error.strerror}. Choose another: DATA_DIR=...") from error
    if owner != os.geteuid():
        raise StartError(
            f"The data folder {folder} belongs to user {owner}, and you are user {os.geteuid()}. "
            "Start as that user, or choose another folder: DATA_DIR=some/folder"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"The data folder {folder} cannot be written to. Choose another one: DATA_DIR=some/folder")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def require_free_space(folder: Path, *, needed_bytes: int, purpose: str) -> None:
    """Refuse to start on a disk that would fill up on the way. `folder` may not exist yet."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free_bytes = shutil.disk_usage(existing).free
    if free_bytes < needed_bytes:
        raise StartError(
            f"The disk of {folder} has {free_bytes / 1e9:.1f} GB free; {purpose} needs {needed_bytes / 1e9:.1f} GB. "
            "Free some space, or choose a folder on another disk: DATA_DIR=/other/disk/answerdesk"
        )
