"""Start one PostgreSQL and one Valkey for the whole test run, before pytest-django reads the settings.

Loaded with `-p tests.services_plugin`. A set DATABASE_URL or REDIS_URL wins. The workers of pytest-xdist share both servers:
pytest-django gives each a database of its own, and here each gets a Valkey database and a data folder of its own.
Everything lies in one temporary folder and dies with this process, even when it is killed.
"""

import os
import secrets
from urllib.parse import urlsplit

import pytest

from support_portal.devservices.processes import StartError
from support_portal.devservices.services import ScratchServices

_services: ScratchServices | None = None


def _start() -> ScratchServices | None:
    """Set the environment of the tests; return what has to be stopped at the end."""
    os.environ["ENGINE"] = "scripted"
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # gw0, gw1 ...
        number = int(worker.removeprefix("gw")) + 1
        os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()
        os.environ["DATA_DIR"] += f"-{worker}"
        return None
    services = ScratchServices(given=os.environ)
    try:
        os.environ.update(services.start().as_environment())
    except StartError as error:
        services.stop()
        raise pytest.UsageError(str(error)) from error
    os.environ["DATA_DIR"] = str(services.data_dir / "data")
    return services


_services = _start()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the services in the process that started them."""
    global _services
    if _services is not None:
        _services.stop()
        _services = None
