"""The environment that the site's processes get from the demo. What the owner has set always wins."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from support_portal.devservices.folder import make_data_folder, write_private
from support_portal.devservices.processes import StartError
from support_portal.devservices.services import ServiceUrls

PROJECT_FOLDER = Path(__file__).resolve().parents[2]


def data_dir(environment: Mapping[str, str]) -> Path:
    """Return DATA_DIR; a relative one belongs to the project's folder, wherever the command was typed."""
    return (PROJECT_FOLDER / Path(environment.get("DATA_DIR") or ".data").expanduser()).resolve()


def site_environment(given: Mapping[str, str], *, folder: Path, urls: ServiceUrls, port: int) -> dict[str, str]:
    """Return a whole environment for a child process."""
    origins = f"http://127.0.0.1:{port},http://localhost:{port}"
    ours = {
        "DJANGO_SETTINGS_MODULE": "support_portal.settings",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_FOLDER), given.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "DEMO": "1",
        "SECRET_KEY": given.get("SECRET_KEY") or secret_key(folder),
        "ALLOWED_HOSTS": given.get("ALLOWED_HOSTS") or "127.0.0.1,localhost",
        "TRUSTED_ORIGINS": given.get("TRUSTED_ORIGINS") or origins,
        "DATA_DIR": str(folder),
    }
    return {**given, **ours, **urls.as_environment()}


def secret_key(folder: Path) -> str:
    """Return the data folder's own key, made at the first start: sessions survive a restart."""
    path = folder / "secret-key"
    if not path.exists():
        make_data_folder(folder)  # a scratch database needs no folder, and the first benchmark may come before the first demo
        write_private(path, secrets.token_urlsafe(64))
    key = path.read_text().strip()
    if len(key) < 50:
        raise StartError(f"{path} is damaged. Remove it (everyone has to sign in again) and start once more.")
    return key
