"""`andon up` and its children: they start, are revived, end on request, and never outlive a killed parent."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from andon.child import start
from andon.processes import PortInUseError, answers, check_port, deploy, environment, free_port, wait_until_up
from andon.settings import Settings
from validation.errors import ServiceDownError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# Like Prefect's worker: its child lives in a session of its own.
SPAWN = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(600)
"""
PARENT = [sys.executable, "-c", SPAWN]


def env(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool], *, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return holds()


def number_in(log: Path, pattern: str) -> int:
    def found() -> re.Match[str] | None:
        return re.search(pattern, log.read_text()) if log.exists() else None

    assert eventually(lambda: found() is not None), f"{pattern} is not in {log}"
    match = found()
    assert match is not None
    return int(match[1])


def test_stopping_a_process_ends_its_descendants_in_other_sessions(tmp_path: Path) -> None:
    process = start("parent", PARENT, env=env(), logs=tmp_path)
    child = number_in(process.log, r"child (\d+)")
    process.stop()
    assert not process.alive()
    assert not runs(child)
    process.stop()  # once more does nothing


def test_a_process_that_ignores_sigint_is_killed_after_the_limit(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up 1', flush=True); time.sleep(600)"
    )
    process = start("stubborn", [sys.executable, "-c", stubborn], env=env(), logs=tmp_path)
    number_in(process.log, r"up (\d)")
    started = time.monotonic()
    process.stop(limit_seconds=0.5)
    assert not process.alive()
    assert time.monotonic() - started < 5


def test_a_background_job_that_ignores_sigint_does_not_pass_that_on(tmp_path: Path) -> None:
    """Prefect's worker, started by one, would need a second signal, which kills."""
    show = "import signal; print('default', int(signal.getsignal(signal.SIGINT) is signal.default_int_handler))"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("child", [sys.executable, "-c", show], env=env(), logs=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert number_in(process.log, r"default (\d)") == 1
    process.stop()


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\nfrom pathlib import Path\nfrom andon.child import start\n"
        f"process = start('parent', {PARENT!r}, env=dict(os.environ), logs=Path({str(tmp_path)!r}))\n"
        "print('pid', process.pid, flush=True)\ntime.sleep(600)"
    )
    with (tmp_path / "out").open("w") as out:
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=out)
    pid = number_in(tmp_path / "out", r"pid (\d+)")
    grandchild = number_in(tmp_path / "parent.log", r"child (\d+)")
    parent.kill()
    parent.wait()
    assert eventually(lambda: not runs(pid) and not runs(grandchild))


def test_a_port_in_use_is_told_before_anything_starts() -> None:
    port = free_port()
    check_port(port, of="scorer")
    with subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], stderr=-3) as server:
        assert eventually(lambda: answers(f"http://127.0.0.1:{port}"))
        with pytest.raises(PortInUseError, match=f"port {port} for the scorer is in use .* choose another port"):
            check_port(port, of="scorer")
        server.kill()


def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = start("server", [sys.executable, "-c", "raise SystemExit('no disk left')"], env=env(), logs=tmp_path)
    with pytest.raises(ServiceDownError, match=r"the server ended with code 1; its log .* ends with:\nno disk left"):
        wait_until_up(process, f"http://127.0.0.1:{free_port()}")
    process.stop()


def test_a_server_that_does_not_answer_in_time_is_told(tmp_path: Path) -> None:
    process = start("server", SLEEPER, env=env(), logs=tmp_path)
    with pytest.raises(ServiceDownError, match="the server does not answer"):
        wait_until_up(process, f"http://127.0.0.1:{free_port()}", seconds=0.3)
    process.stop()


def test_children_get_no_foreign_prefect_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_API_KEY", "a key of somebody's cloud")
    monkeypatch.setenv("PREFECT_PROFILE", "cloud")
    given = environment(Settings(home=tmp_path), prefect_port=4711, scorer_port=4712)
    assert "PREFECT_API_KEY" not in given
    assert "PREFECT_PROFILE" not in given
    assert given["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert given["PREFECT_API_URL"] == "http://127.0.0.1:4711/api"
    assert given["ANDON_SCORER_URL"] == "http://127.0.0.1:4712"


def test_deploying_to_a_server_that_is_down_says_so(tmp_path: Path) -> None:
    nowhere = environment(Settings(home=tmp_path), prefect_port=free_port())
    with pytest.raises(ServiceDownError, match="Prefect would not create the work pool 'andon'"):
        deploy(nowhere)


@contextmanager
def andon_up(home: Path, *, prefect: int, scorer: int) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    told = home / "told"
    home.mkdir(parents=True)
    command = [sys.executable, "-m", "andon.cli", "up", "--prefect-port", str(prefect), "--scorer-port", str(scorer)]
    with told.open("w") as out:
        process = subprocess.Popen(command, env=env(ANDON_HOME=str(home)), stdout=out, stderr=out, text=True)
    try:
        yield process, told
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_up_starts_all_revives_what_dies_and_stops_on_request(tmp_path: Path) -> None:
    home, prefect, scorer = tmp_path / "home", free_port(), free_port()
    with andon_up(home, prefect=prefect, scorer=scorer) as (process, told):
        assert eventually(lambda: "Andon is up" in told.read_text(), seconds=240), told.read_text()
        names = {
            found["name"] for found in httpx.post(f"http://127.0.0.1:{prefect}/api/deployments/filter", json={}).json()
        }
        assert names == {"ingest", "score", "monitor", "retrain", "promote", "rollback", "reconcile"}

        status = subprocess.run(
            [sys.executable, "-m", "andon.cli", "status", "flights", "--json"],
            env={name: value for name, value in env(ANDON_HOME=str(home)).items() if name != "ANDON_SCORER_URL"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(status.stdout)["scorer"] == "running, without a champion yet"

        (listening,) = pids_of("serving.scorer", str(scorer))
        os.kill(listening, signal.SIGKILL)
        assert eventually(lambda: "scorer started again" in told.read_text())
        assert eventually(lambda: answers(f"http://127.0.0.1:{scorer}/ping"), seconds=60)

        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert told.read_text().strip().endswith("all stopped")
        assert not pids_of("ANDON_HOME=" + str(home))
        assert not (home / "up.json").exists()


def pids_of(*words: str) -> list[int]:
    """Processes whose command line and environment hold all `words`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes()
        except OSError:
            continue
        if all(word in text.decode(errors="replace").split("\0") for word in words):
            found.append(int(folder.name))
    return found
