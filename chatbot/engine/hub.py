"""Fetch model files from a Hugging Face hub (HF_ENDPOINT and HF_TOKEN are honoured): no pickles, no code, one exact commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from chatbot.engine.folder_checks import TAKEN_FILE
from chatbot.engine.known_models import KnownModel
from chatbot.engine.manifest import ModelRefused

CONNECT_TIMEOUT_S = 5.0
FILE_SUFFIX_OF_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class HubModel:
    """One commit of a model on the hub and the files of it that are taken."""

    repo: str
    commit: str
    licence: str
    files: tuple[str, ...]
    size_bytes: int


def download_known(model: KnownModel, into: Path, *, endpoint: str | None = None) -> Path | None:
    """Download the publisher's own file, or return None when the hub does not answer at once or has other bytes.

    The caller hashes what came.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return None
    try:
        url = hf_hub_url(model.hub_repo, model.hub_file, endpoint=endpoint)
        found = get_hf_file_metadata(url, timeout=CONNECT_TIMEOUT_S, endpoint=endpoint)
        if found.size != model.size_bytes or found.etag != model.sha256:
            return None
        return download_file(model.hub_repo, model.hub_file, commit=found.commit_hash, into=into, endpoint=endpoint)
    except Exception:  # whatever keeps the hub from answering, the packages hold the same bytes
        return None


def download_file(repo: str, name: str, *, commit: str | None, into: Path, endpoint: str | None) -> Path:
    """Download one file, going on where an interrupted download stopped."""
    return Path(hf_hub_download(repo, name, revision=commit, local_dir=into, etag_timeout=CONNECT_TIMEOUT_S, endpoint=endpoint))


def find_hub_model(repo: str, revision: str, *, endpoint: str | None = None) -> HubModel:
    """Ask the hub which commit `revision` is and which files it has."""
    try:
        info = HfApi(endpoint=endpoint).model_info(
            repo, revision=revision or None, timeout=CONNECT_TIMEOUT_S, files_metadata=True
        )
    except GatedRepoError as error:
        raise ModelRefused(
            "model_download_failed", f"{repo} is given out on request only: accept its licence on the hub and set HF_TOKEN"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise ModelRefused(
            "model_source_unknown", f"the hub knows no model {repo} at {revision or 'its main revision'}; check the spelling"
        ) from error
    except Exception as error:  # the library lets errors of its transport through
        raise not_answered(repo, error) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    taken = files_to_take(repo, list(sizes))
    licence = str(info.card_data.get("license") or "unknown") if info.card_data else "unknown"
    return HubModel(repo, info.sha or revision, licence, taken, sum(sizes[name] for name in taken))


def files_to_take(repo: str, names: list[str]) -> tuple[str, ...]:
    """Choose the safetensors, the configuration and the tokenizer; leave pickles, code and second copies of the weights."""
    taken = [name for name in names if "/" not in name and TAKEN_FILE.fullmatch(name)]
    weights = [name for name in taken if name.endswith(".safetensors")]
    if not weights:
        if any(name.endswith(FILE_SUFFIX_OF_PICKLES) for name in names):
            raise ModelRefused(
                "model_pickle_refused", f"{repo} has pickled weights only, which are never loaded; choose one with safetensors"
            )
        raise ModelRefused(
            "model_missing_file", f"{repo} has no safetensors; of a GGUF collection download one file and give its path"
        )
    usual = [name for name in weights if name.startswith("model")]
    return tuple(name for name in taken if name in (usual or weights) or not name.endswith(".safetensors"))


def download_hub_model(model: HubModel, into: Path, *, endpoint: str | None = None) -> None:
    """Download every file of the model into a flat folder. What has come stays when it fails."""
    for name in model.files:
        try:
            download_file(model.repo, name, commit=model.commit, into=into, endpoint=endpoint)
        except Exception as error:  # the library lets errors of its transport through
            raise not_answered(model.repo, error) from error


def not_answered(repo: str, error: Exception) -> ModelRefused:
    return ModelRefused(
        "model_download_failed",
        f"{repo} could not be downloaded ({type(error).__name__}); check the network, HF_ENDPOINT and HF_TOKEN, then run the same"
        " command again; what has come is kept",
    )
