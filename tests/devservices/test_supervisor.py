import sys
from pathlib import Path

from support_portal.devservices.processes import Child, Process
from support_portal.devservices.supervisor import Backoff, Supervisor
from tests.devservices.waiting import wait_until


def sleeper(*, name: str = "sleeper", code: str = "import time; time.sleep(60)") -> Process:
    return Process(Child(name=name, command=[sys.executable, "-S", "-c", code]))


def test_the_delay_doubles_up_to_thirty_seconds() -> None:
    backoff = Backoff()
    assert [backoff.next_delay_s(lifetime_s=1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_healthy_life_forgets_earlier_failures() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next_delay_s(lifetime_s=4.9)
    assert backoff.next_delay_s(lifetime_s=5) == 0.5
    assert backoff.failures == 1


def test_a_dead_child_is_started_again_after_its_delay_and_not_before() -> None:
    now, reports = [100.0], list[str]()
    supervisor = Supervisor(report=reports.append, clock=lambda: now[0])
    process = sleeper()
    supervisor.start(process)
    first_pid = process.pid
    process.kill()
    wait_until(lambda: not process.is_running)

    supervisor.tend()
    now[0] += 0.4
    supervisor.tend()
    assert not process.is_running
    now[0] += 0.2
    supervisor.tend()
    assert process.is_running
    assert process.pid != first_pid
    assert reports == ["sleeper ended (exit code -9); starting it again in 0.5 s. Its log: None"]
    supervisor.stop(names=["sleeper"], grace_s=5)
    assert not process.is_running


def test_deaths_are_counted_by_name() -> None:
    now = [0.0]
    supervisor = Supervisor(report=lambda line: None, clock=lambda: now[0])
    broken, healthy = sleeper(name="broken", code="raise SystemExit(3)"), sleeper(name="healthy")
    supervisor.start(broken)
    supervisor.start(healthy)
    for _ in range(3):
        wait_until(lambda: not broken.is_running)
        supervisor.tend()
        now[0] += 40
        supervisor.tend()
    assert supervisor.deaths() == {"broken": 3, "healthy": 0}
    supervisor.stop(names=["broken", "healthy"], grace_s=5)


def test_stop_kills_who_does_not_listen(tmp_path: Path) -> None:
    stubborn = Process(
        Child(
            name="stubborn",
            command=[sys.executable, "-S", "-uc", "import signal, time; signal.signal(15, 1); print('up'); time.sleep(60)"],
        ),
        tmp_path / "stubborn.log",
    )
    supervisor = Supervisor(report=lambda line: None)
    supervisor.start(stubborn)
    wait_until(lambda: "up" in stubborn.last_lines())
    supervisor.stop(names=["stubborn"], grace_s=0.2)
    assert stubborn.exit_code == -9
    supervisor.tend()
    assert not stubborn.is_running, "a stopped process is not watched any longer"
