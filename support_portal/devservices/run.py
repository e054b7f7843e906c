"""Run one command with the embedded services: those of the running demo, or our own for as long as it takes.

    python -m support_portal.devservices.run [--scratch] -- COMMAND ...

`--scratch` gives the command an empty database and queue in a temporary folder, for benchmarks; DATA_DIR stays.
"""

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType

from support_portal.devservices.environment import data_dir, site_environment
from support_portal.devservices.preflight import parse_port
from support_portal.devservices.processes import StartError, die_with_parent
from support_portal.devservices.services import ScratchServices, Services


def run(command: list[str], *, scratch: bool) -> int:
    """Return the command's exit code, as a shell would."""
    folder = data_dir(os.environ)
    services = ScratchServices(given=os.environ) if scratch else Services(folder, given=os.environ, purpose=" ".join(command[:4]))
    try:
        urls = services.start_or_attach()
        port = parse_port(os.environ.get("PORT") or "8000")
        return call(command, environment=site_environment(os.environ, folder=folder, urls=urls, port=port))
    finally:
        services.stop()


def call(command: list[str], *, environment: dict[str, str]) -> int:
    """Run the command on our own terminal: Ctrl-C reaches it directly, the other signals are passed on."""
    parent_pid = os.getpid()
    try:
        child = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent_pid=parent_pid)
        )
    except OSError as error:
        raise StartError(f"{command[0]} cannot be started: {error.strerror}.") from error

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = child.wait()
    return 128 - code if code < 0 else code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m support_portal.devservices.run", description=__doc__.splitlines()[0])
    parser.add_argument("--scratch", action="store_true", help="an empty database and queue, forgotten afterwards")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = [part for part in options.command[:1] if part != "--"] + options.command[1:]
    if not command:
        parser.error("which command? For example: -- python manage.py ask 'Where is my parcel?'")
    try:
        return run(command, scratch=options.scratch)
    except KeyboardInterrupt:
        return 130
    except StartError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
