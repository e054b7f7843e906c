"""What can go wrong with a training run, as codes that other processes can read."""

from __future__ import annotations

import errno

# What a script ends with. A run that was asked to stop is no failure, and a later start goes on with it.
EXIT_FAILED = 1
EXIT_STOPPED = 3


class TrainingError(Exception):
    """A run that cannot go on. `code` is stable; the text is for the person who started it and says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def explained(error: BaseException) -> TrainingError:
    """Put an error of the libraries into our words."""
    if isinstance(error, TrainingError):
        return error
    text = str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC or "No space left" in text or "enforce fail" in text:
        return TrainingError(
            "disk_full", "The disk is full. Free some space; the same run goes on from its last whole checkpoint."
        )
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return TrainingError(
            "out_of_memory", "There is not enough memory. Use a smaller batch, shorter examples or a smaller model."
        )
    return TrainingError("internal", f"{type(error).__name__}: {text[:300]}")
