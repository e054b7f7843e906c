"""Start processes that cannot outlive us, each in its own group, and stop them in time."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STDERR = 2
PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartError(Exception):
    """A sentence for the person who typed the command: what is wrong and what to do."""


def nothing() -> None:
    """Do nothing."""


def enter_user_namespace() -> None:
    """Leave root's powers for an unmapped user namespace; files made inside still belong to root outside."""
    if _libc is None or _libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")


def die_with_parent(death_signal: int, *, parent_pid: int) -> None:
    """Ask the kernel for `death_signal` when the parent's calling thread ends; Linux only, elsewhere nothing happens."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent_pid:  # the parent was gone before the kernel knew our wish
        os._exit(1)


@dataclass(frozen=True)
class Child:
    """What to run, and how it wants to be stopped.

    `death_signal` is sent by the kernel when the supervisor dies without a word; `become` runs between fork and exec;
    `before_start` runs in the supervisor before every start, the first one included.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    become: Callable[[], None] = nothing
    before_start: Callable[[], None] = nothing


@dataclass
class Process:
    """One running (or stopped, or not yet started) `Child`. Start it from the main thread: see `die_with_parent`."""

    child: Child
    log: Path | None = None
    started_at: float = 0.0
    _popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen else None

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal; None while running or never started."""
        return self._popen.poll() if self._popen else None

    @property
    def lifetime_s(self) -> float:
        return time.monotonic() - self.started_at

    def start(self) -> None:
        self.child.before_start()
        parent_pid = os.getpid()

        def prepare() -> None:
            self.child.become()  # first: a change of credentials clears the death signal
            die_with_parent(self.child.death_signal, parent_pid=parent_pid)

        output = open_log(self.log) if self.log else None
        try:
            self._popen = subprocess.Popen(
                list(self.child.command),
                stdin=subprocess.DEVNULL,
                stdout=STDERR if output is None else output,  # our stdout is for the ready line
                stderr=output,
                env=dict(self.child.env) if self.child.env is not None else None,
                process_group=0,  # the terminal's Ctrl-C is for the supervisor alone
                preexec_fn=prepare,
            )
        finally:
            if output is not None:
                os.close(output)
        self.started_at = time.monotonic()

    def ask_to_stop(self) -> None:
        self._send(self.child.stop_signal, whole_group=False)

    def kill(self) -> None:
        """Kill the whole group, also what an already dead leader left in it."""
        self._send(signal.SIGKILL, whole_group=True)

    def wait(self, *, timeout_s: float) -> bool:
        """Wait for the end; return whether it came in time."""
        if self._popen is None:
            return True
        try:
            self._popen.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_lines(self, *, count: int = 12) -> str:
        """Return the end of the log, indented, for a failure's message."""
        if self.log is None or not self.log.exists():
            return ""
        lines = self.log.read_bytes()[-16_384:].decode(errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line}" for line in lines)

    def _send(self, signal_number: int, *, whole_group: bool) -> None:
        if self._popen is None or (not whole_group and not self.is_running):
            return
        try:
            (os.killpg if whole_group else os.kill)(self._popen.pid, signal_number)
        except (ProcessLookupError, PermissionError):  # gone meanwhile; macOS says EPERM for a zombie's group
            return


def open_log(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate_log(path: Path) -> None:
    """Keep the previous run's log as NAME.log.1."""
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))


def stop_all(processes: Sequence[Process], *, grace_s: float) -> None:
    """Ask every process to stop, then kill what is left after `grace_s` seconds together."""
    for process in processes:
        process.ask_to_stop()
    deadline = time.monotonic() + grace_s
    for process in processes:
        process.wait(timeout_s=deadline - time.monotonic())
    for process in processes:
        process.kill()
        process.wait(timeout_s=5.0)  # at once, unless the disk holds it


def explain(log: str) -> str:
    """Say what to do about the usual reasons of a failure, and show the program's own last lines."""
    if "No space left on device" in log:
        return f"The disk is full. Free some space, or choose a folder on another disk: DATA_DIR=/other/disk\n{log}"
    if "Permission denied" in log:
        return f"It may not use a file or folder. Choose a folder that you own: DATA_DIR=some/folder\n{log}"
    return f"Its last lines:\n{log}"
