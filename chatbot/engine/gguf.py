"""Turn a GGUF file into a model folder, once.

The conversion (`gguf_conversion`) runs in a process of its own, so that its memory is given back, and answers on standard output
with one JSON line a stage. Before it starts, the file's header is read here: it says how large the result is and whether the
file is whole.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from tqdm import tqdm

from chatbot.engine.manifest import BAR_DELAY_S, ModelRefused

GGUF_MAGIC = b"GGUF"
GGUF_VERSIONS = (2, 3)
# Bytes of the metadata types of fixed size; 8 is a string, 9 an array.
FIXED_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
DEFAULT_ALIGNMENT = 32
STAGES = ("starting", "tokenizer", "weights", "writing", "checking")
POLL_S = 0.5
PROJECT_DIR = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class GgufHeader:
    """parameters: numbers in all tensors; end: bytes the file must have."""

    architecture: str
    parameters: int
    end: int
    licence: str = "unknown"


class HeaderReader:
    """Walks a GGUF header. Raises struct.error or IndexError where the file ends too early."""

    def __init__(self, blob: mmap.mmap) -> None:
        self.blob = blob
        self.position = 0

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from("<" + kind, self.blob, self.position)
        self.position += struct.calcsize("<" + kind)
        return int(value)

    def skip(self, count: int) -> None:
        self.position += count
        if count < 0 or self.position > len(self.blob):
            raise IndexError("past the end")

    def string(self) -> str:
        length = self.number("Q")
        start = self.position
        self.skip(length)
        return self.blob[start : start + length].decode()

    def value(self, kind: int) -> int | str | None:
        """Read a string or an unsigned 32-bit number; skip anything else."""
        if kind == STRING:
            return self.string()
        if kind == 4:
            return self.number("I")
        if kind == ARRAY:
            element, count = self.number("I"), self.number("Q")
            if element in FIXED_BYTES:
                self.skip(count * FIXED_BYTES[element])
            else:
                for _ in range(count):
                    self.value(element)
        elif kind in FIXED_BYTES:
            self.skip(FIXED_BYTES[kind])
        else:
            raise ValueError(f"metadata of type {kind}")
        return None

    def header(self) -> GgufHeader:
        self.skip(len(GGUF_MAGIC))
        version, tensors, entries = self.number("I"), self.number("Q"), self.number("Q")
        if version not in GGUF_VERSIONS:
            raise ValueError(f"GGUF version {version}")
        metadata = {}
        for _ in range(entries):
            key = self.string()
            metadata[key] = self.value(self.number("I"))
        extents = [self.tensor() for _ in range(tensors)]
        alignment = int(metadata.get("general.alignment") or DEFAULT_ALIGNMENT)
        data_start = math.ceil(self.position / alignment) * alignment
        end = data_start + max((offset + size_bytes for _, offset, size_bytes in extents), default=0)
        return GgufHeader(
            architecture=str(metadata.get("general.architecture")),
            parameters=sum(count for count, _, _ in extents),
            end=end,
            licence=str(metadata.get("general.license") or "unknown"),
        )

    def tensor(self) -> tuple[int, int, int]:
        """Return the count of numbers, the offset and the bytes of one tensor."""
        self.string()
        count = math.prod(self.number("Q") for _ in range(self.number("I")))
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(self.number("I"))]
        return count, self.number("Q"), math.ceil(count / block) * block_bytes


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the header and prove that the file is as long as it says."""
    with path.open("rb") as stream:
        if stream.read(4) != GGUF_MAGIC:
            raise ModelRefused("model_wrong_shape", f"{path} is not a GGUF file; give a .gguf file or a model folder")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as blob:
            try:
                header = HeaderReader(blob).header()
            except (struct.error, IndexError) as error:
                raise ModelRefused("model_truncated", f"{path} ends inside its header; download it again") from error
            except (ValueError, KeyError, RecursionError) as error:
                raise ModelRefused("model_wrong_shape", f"{path} has a header that cannot be read ({error})") from error
            if header.end > len(blob):
                raise ModelRefused(
                    "model_truncated", f"{path} has {len(blob)} of the {header.end} bytes it should have; download it again"
                )
    return header


def convert_gguf(source: Path, folder: Path, *, progress: bool) -> dict[str, str]:
    """Write the model of a GGUF file into `folder` as bfloat16 safetensors. Returns the converter's versions."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-m", "chatbot.engine.gguf_conversion", str(source.resolve()), str(folder.resolve())]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command, cwd=PROJECT_DIR, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as child:
            try:
                answer = follow_stages(child, progress=progress)
            except BaseException:
                child.kill()
                raise
        if child.returncode == 0 and "versions" in answer:
            return {str(name): str(version) for name, version in answer["versions"].items()}
        errors.seek(0)
        raise conversion_error(source, child.returncode, answer, errors.read())


def follow_stages(child: subprocess.Popen[str], *, progress: bool) -> dict[str, Any]:
    """Show the child's stages until it ends; return its last line."""
    assert child.stdout is not None
    answer: dict[str, Any] = {}
    os.set_blocking(child.stdout.fileno(), False)
    layout = "{desc}: step {n_fmt} of {total_fmt} [{elapsed}]"
    with tqdm(total=len(STAGES), delay=BAR_DELAY_S, disable=not progress, leave=False, bar_format=layout) as bar:
        while True:
            ended = child.poll() is not None
            for line in child.stdout.readlines():
                answer = json.loads(line) if line.startswith("{") else answer
                if stage := answer.get("stage"):
                    bar.set_description_str(f"converting the model, {stage}", refresh=False)
                    bar.update(STAGES.index(stage) + 1 - bar.n)
            if ended:
                return answer
            bar.refresh()
            try:
                child.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue


def conversion_error(source: Path, returncode: int, answer: dict[str, Any], errors: str) -> ModelRefused:
    if "code" in answer:
        return ModelRefused(answer["code"], answer["text"])
    last_line = (errors.strip().splitlines() or ["no message"])[-1]
    if returncode == -signal.SIGKILL or "MemoryError" in last_line or "can't allocate memory" in last_line:
        return ModelRefused(
            "model_memory", f"converting {source.name} ran out of memory; stop other programs, or take a smaller model"
        )
    if "No space left" in errors:
        return ModelRefused("model_disk_full", f"the disk filled up while {source.name} was converted; free some space")
    return ModelRefused("model_conversion_failed", f"{source.name} could not be converted: {last_line}")
