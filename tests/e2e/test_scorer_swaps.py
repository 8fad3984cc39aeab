"""Swaps of a scorer with two workers while things go wrong; and two champions, each with features of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.e2e.scorer_world import ASKED, NAME, Caller, Scorer, World, body, build, copied, ended, running
from tests.e2e.world import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def world(built: World, tmp_path: Path) -> World:
    return copied(built, tmp_path)


def check(scorer: Scorer, world: World, version: int) -> None:
    """Rows alone and together, by whichever worker, get what the version's own model computes."""
    expected = world.expected[version - 1]
    for part in (*(slice(row, row + 1) for row in range(8)), slice(0, 40)):
        answered, predictions = scorer.ask(ASKED[part])
        assert answered == str(version)
        np.testing.assert_allclose(predictions, expected[part], rtol=0, atol=1e-12)


def test_after_a_change_of_features_and_a_rollback_each_champion_computes_its_own(world: World) -> None:
    assert not np.allclose(world.expected[0], world.expected[1])
    world.crown(1)
    with running(world, "--workers", "2") as scorer:
        check(scorer, world, 1)
        world.crown(2)
        scorer.await_version(2)
        check(scorer, world, 2)
        world.crown(1)
        scorer.await_version(1)
        check(scorer, world, 1)
        assert scorer.stop() == 0


def test_a_killed_worker_is_replaced_and_the_other_serves_on(world: World) -> None:
    world.crown(1)
    with running(world, "--workers", "2") as scorer:
        first, second = scorer.workers()
        with Caller(scorer) as caller:
            wait_for("answers", lambda: len(caller.versions) > 50, seconds=30)
            os.kill(first, signal.SIGKILL)
            wait_for("another worker", lambda: len(scorer.workers()) == 2 and first not in scorer.workers(), seconds=30)
            answers = len(caller.versions)
            world.crown(2)
            scorer.await_version(2)
            wait_for("more answers", lambda: len(caller.versions) > answers + 50, seconds=30)
        assert second in scorer.workers()
        assert caller.failed == []
        assert len(caller.cut) <= 1, "only what was under way in the worker that was killed"
        assert list(dict.fromkeys(caller.versions)) == ["1", "2"]
        check(scorer, world, 2)


def test_a_stopped_worker_holds_up_a_swap_only_for_the_time_that_it_is_given(world: World) -> None:
    world.crown(1)
    with running(world, "--workers", "2", "--ready-seconds", "2") as scorer:
        stuck, other = scorer.workers()
        os.kill(stuck, signal.SIGSTOP)
        world.crown(2)
        wait_for("the swap", lambda: "version 2 serves now (epoch 2, 1 workers" in scorer.said(), seconds=15)
        assert ended(stuck)
        wait_for("another worker", lambda: len(scorer.workers()) == 2, seconds=30)
        assert other in scorer.workers()
        check(scorer, world, 2)


def test_refusals_and_a_ledger_that_is_away_delay_no_other_version(world: World) -> None:
    world.crown(1)
    damaged = world.home / "bundles" / NAME / ("0" * 64)
    shutil.copytree(world.home / "bundles" / NAME / world.digests[1], damaged)
    with running(world, "--workers", "2") as scorer, Caller(scorer) as caller:
        world.crown(7, sha256="0" * 64)
        wait_for("the refusal", lambda: scorer.told()["status"].startswith("refused: "), seconds=30)
        assert scorer.told()["version"] == "1"
        world.crown(2)
        scorer.await_version(2, seconds=5)
        with world.without_ledger():
            wait_for("the trouble", lambda: scorer.told()["status"].startswith("degraded: "), seconds=30)
            check(scorer, world, 2)
        world.crown(1)
        wait_for("the champion", lambda: scorer.told()["version"] == "1", seconds=10)
        wait_for("readiness", lambda: scorer.told()["status"] == "ready", seconds=10)
    assert (caller.failed, caller.cut) == ([], [])
    assert list(dict.fromkeys(caller.versions)) in (["1", "2"], ["1", "2", "1"])


def test_the_port_is_free_at_once_when_the_supervisor_was_killed_and_no_worker_is_left(world: World) -> None:
    world.crown(1)
    with running(world, "--workers", "2") as scorer:
        workers = scorer.workers()
        os.kill(scorer.process.pid, signal.SIGKILL)
        scorer.process.wait()
        with running(world, "--workers", "2", port=scorer.port) as again:
            check(again, world, 1)
            for pid in workers:
                wait_for(f"worker {pid} to end", lambda pid=pid: ended(pid), seconds=10)  # type: ignore[misc]


def test_what_is_under_way_is_answered_when_the_supervisor_is_killed(world: World) -> None:
    world.crown(1)
    with running(world, "--workers", "1") as scorer:

        def killed_half_way() -> Iterator[bytes]:
            whole = body(ASKED)
            yield whole[:100]
            os.kill(scorer.process.pid, signal.SIGKILL)
            time.sleep(1)
            yield whole[100:]

        assert scorer.client.post(f"/{NAME}/invocations", content=killed_half_way()).status_code == 200


def test_a_worker_that_starts_repairs_a_damaged_bundle_or_the_scorer_says_why_not(world: World) -> None:
    world.crown(1)
    with running(world, "--workers", "1") as scorer:
        (world.home / "bundles" / NAME / world.digests[0] / "model.txt").write_text("damaged")
        (only,) = scorer.workers()
        os.kill(only, signal.SIGKILL)
        wait_for("the trouble", lambda: "no worker can serve it" in scorer.said(), seconds=60)
        assert httpx.get(f"{scorer.client.base_url}/ping", trust_env=False, timeout=30).status_code == 200
        wait_for("a status", lambda: scorer.told()["status"] != "no champion", seconds=30)
        world.crown(2)
        wait_for("the other version", lambda: scorer.told()["version"] == "2", seconds=30)
        check(scorer, world, 2)


def test_with_a_certificate_it_speaks_tls(world: World, tmp_path: Path) -> None:
    key, certificate, password = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "password"
    password.write_text("a long secret\n")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-keyout", key, "-out", certificate, "-days", "2",
         "-passout", f"file:{password}", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    world.crown(1)
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    refused = Scorer(world, *tls)
    assert refused.process.wait(30) == 2
    assert "--tls-key-password-file" in refused.said()
    refused.close()
    scorer = Scorer(world, *tls, "--tls-key-password-file", str(password))
    try:
        wait_for("the line", lambda: f"scorer: https://127.0.0.1:{scorer.port}\n" in scorer.said(), seconds=60)
        import ssl

        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(verify=context, trust_env=False) as client:
            answer = client.post(f"https://127.0.0.1:{scorer.port}/{NAME}/invocations", content=body(ASKED))
        np.testing.assert_allclose(answer.json()["predictions"], world.expected[0], rtol=0, atol=1e-12)
        assert "a long secret" not in scorer.said()
    finally:
        scorer.close()
