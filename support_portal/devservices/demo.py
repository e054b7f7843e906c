"""`make demo`: everything in one terminal, gone with Ctrl-C, there again in seconds.

    python -m support_portal.devservices.demo

Reads PORT (8000), DATA_DIR (.data), DATABASE_URL, REDIS_URL, ENGINE and MODEL from the environment.
"""

import errno
import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chatbot.engine.known_models import DEFAULT_MODEL
from support_portal.devservices.environment import PROJECT_FOLDER, data_dir, site_environment
from support_portal.devservices.preflight import parse_port, require_free_port, require_memory, require_room, uses_default_model
from support_portal.devservices.processes import Child, Process, StartError, explain, rotate_log, stop_all
from support_portal.devservices.progress import Progress, write
from support_portal.devservices.services import Services
from support_portal.devservices.stopping import StopRequest, StopRequested
from support_portal.devservices.supervisor import Supervisor

POLL_S = 0.1
READY_POLL_S = 0.4
HOPELESS_DEATHS = 4  # before the first answer: no back-off will cure that
WEB_GRACE_S, SERVICES_GRACE_S = 2.0, 2.5
WORKERS_KILLED_AFTER_S = 6.0  # counted from the request to stop, so that all of it stays below ten seconds
PYTHON = sys.executable
SOCKET_OPTIONS = ["--ws=websockets-sansio", "--ws-ping-interval=30", "--ws-max-size=131072"]
WEB_OPTIONS = ["--host=127.0.0.1", "--no-access-log", "--timeout-graceful-shutdown=1", *SOCKET_OPTIONS]


class Demo:
    def __init__(self, *, port: int, folder: Path, stop: StopRequest) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._folder = folder
        self._stop = stop
        self._progress = Progress()
        self._services = Services(folder, given=os.environ, purpose="make demo")
        self._supervisor = Supervisor(report=self._progress.say)
        self._command: Process | None = None  # the one-off command that runs now
        self._environment: dict[str, str] = {}
        stop.kill_now = self._kill_now

    def run(self) -> None:
        """Start everything, print the ready line, then watch until a stop is requested."""
        self._check()
        with self._progress.step("Starting the database and the queue"):
            urls = self._services.start(on_wait=self._pulse)
        for process in self._services.processes:
            self._supervisor.adopt(process)
        self._environment = site_environment(os.environ, folder=self._folder, urls=urls, port=self._port)
        self._fetch_model()
        with self._progress.step("Preparing the database"):
            self._manage("migrate", "--no-input")
        if demo_accounts(self._folder):  # not the first start: what is there can be looked over while the model loads
            self._start_site()
            self._load_company(first_time=False)
        else:
            self._load_company(first_time=True)
            self._start_site()
        with self._progress.step("Loading the model"):
            self._wait_until_ready()
        with self._progress.step("Asking a first question"):
            self._manage("firstanswer")
        self._announce()
        while True:
            self._pulse()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop web, then workers, then services: nobody loses what he is still writing to."""
        if any(process.is_running for process in self._services.processes):
            self._progress.say("Stopping ...")
        workers_deadline = time.monotonic() + WORKERS_KILLED_AFTER_S
        if self._command is not None:
            stop_all([self._command], grace_s=1.0)
        self._supervisor.stop(names=["web"], grace_s=WEB_GRACE_S)
        self._supervisor.stop(names=["generation", "general", "training", "beat"], grace_s=workers_deadline - time.monotonic())
        self._services.stop(grace_s=SERVICES_GRACE_S)

    def _check(self) -> None:
        if not self._services.lock.take():
            raise StartError(
                f"The data folder {self._folder} is in use ({self._services.lock.holder()}). Stop that one first, "
                "or start beside it with a folder and a port of its own: make demo DATA_DIR=.data-2 PORT=8001"
            )
        require_free_port(self._port)
        require_room(self._folder)
        require_memory(os.environ)

    def _fetch_model(self) -> None:
        if uses_default_model(self._environment) and not default_model_is_there(self._environment, folder=self._folder):
            self._progress.say("Fetching the default model (once; about 1.1 GB) ...")
            self._manage("fetchmodel", "default", quiet=False)

    def _load_company(self, *, first_time: bool) -> None:
        if first_time and sys.stderr.isatty():  # long enough for the command's own bar
            self._progress.say("Loading the demo company (once) ...")
            self._manage("loaddemo", quiet=False)
            return
        with self._progress.step("Loading the demo company" if first_time else "Looking over the demo company"):
            self._manage("loaddemo")

    def _start_site(self) -> None:
        for child in site_children(self._port, folder=self._folder, environment=self._environment):
            self._supervisor.start(self._logged(child))

    def _manage(self, *arguments: str, quiet: bool = True) -> None:
        """Run a management command to its end; a loud one writes its own progress on our stderr."""
        child = Child(name=arguments[0], command=[PYTHON, str(PROJECT_FOLDER / "manage.py"), *arguments], env=self._environment)
        process = self._command = self._logged(child) if quiet else Process(child)
        process.start()
        while process.is_running:
            self._pulse()
            time.sleep(POLL_S)
        self._command = None
        if process.exit_code != 0:
            details = f" {explain(process.last_lines())}" if quiet else ""
            log = f"; its log: {process.log}" if quiet else ""
            raise StartError(f"`manage.py {' '.join(arguments)}` failed (exit code {process.exit_code}{log}).{details}")

    def _logged(self, child: Child) -> Process:
        log = self._folder / "logs" / f"{child.name}.log"
        rotate_log(log)
        return Process(child, log)

    def _wait_until_ready(self) -> None:
        while not answers_ready(self._port):
            self._pulse()
            for name, deaths in self._supervisor.deaths().items():
                if deaths >= HOPELESS_DEATHS:
                    process = self._supervisor.process(name)
                    raise StartError(f"{name} does not start (log: {process.log}). {explain(process.last_lines())}")
            time.sleep(READY_POLL_S)

    def _announce(self) -> None:
        lines = [f"ready: {self.url}"]
        for account in demo_accounts(self._folder):
            lines.append(f"  {account['role']:<8} {account['username']:<10} {account['password']}   {account['url']}")
        lines.append(f"Stop with Ctrl-C. Logs: {self._folder / 'logs'}")
        print("\n".join(lines), flush=True)

    def _pulse(self) -> None:
        """Do what must go on while anything waits."""
        self._stop.check()
        self._supervisor.tend()
        self._progress.tick()

    def _kill_now(self) -> None:
        for process in [*self._services.processes, *([self._command] if self._command else [])]:
            process.kill()
        self._supervisor.kill_all()


def site_children(port: int, *, folder: Path, environment: dict[str, str]) -> list[Child]:
    """Return the five processes of the site, the one that takes longest first."""
    celery = [PYTHON, "-m", "celery", "-A", "support_portal"]
    worker = [*celery, "worker", "--pool", "threads", "--without-mingle", "--without-gossip", "--loglevel", "INFO"]
    commands: dict[str, Sequence[str]] = {
        "generation": [*worker, "--queues", "generation", "--hostname", "generation@%h"],
        "general": [*worker, "--queues", "general", "--concurrency", "4", "--hostname", "general@%h"],
        # Training has a process and a queue of its own, and runs in a child of that at the lowest priority.
        "training": [*worker, "--queues", "training", "--concurrency", "1", "--hostname", "training@%h"],
        "beat": [*celery, "beat", "--schedule", str(folder / "beat-schedule"), "--loglevel", "WARNING"],
        "web": [PYTHON, "-m", "uvicorn", "support_portal.asgi:application", f"--port={port}", *WEB_OPTIONS],
    }
    return [Child(name=name, command=command, env=environment) for name, command in commands.items()]


def default_model_is_there(environment: dict[str, str], *, folder: Path) -> bool:
    models = Path(environment.get("MODELS_DIR") or folder / "models")
    return (models / DEFAULT_MODEL / "manifest.json").exists()


def answers_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def demo_accounts(folder: Path) -> list[dict[str, str]]:
    """Return role, username, password and url of each demo log-in; `loaddemo` writes them, readable by the owner only."""
    path = folder / "demo-accounts.json"
    accounts: list[dict[str, str]] = json.loads(path.read_text()) if path.exists() else []
    return accounts


def fail(sentence: str) -> int:
    write(f"\n{sentence}\n")
    return 1


def main() -> int:
    os.chdir(PROJECT_FOLDER)
    stop = StopRequest()
    stop.listen()
    demo: Demo | None = None
    try:
        demo = Demo(port=parse_port(os.environ.get("PORT") or "8000"), folder=data_dir(os.environ), stop=stop)
        demo.run()
    except StopRequested:
        return stop.exit_code
    except StartError as error:
        return fail(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return fail(
            "The disk is full. Free some space, or choose a folder on another disk: make demo DATA_DIR=/other/disk/answerdesk"
        )
    finally:
        if demo is not None:
            demo.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
