"""Ingest in processes that can be killed, stopped or starved. Run as a module it serves `Runner` (ingest_world.py):
each act is done by a process of its own, forked from one that has imported everything, which takes seconds, and done
nothing.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from registry.ledger import Batch  # noqa: F401  # what follows is imported for the processes to come
from storage import admission, s3, tables, versions  # noqa: F401
from tasks import arrivals, ingest, reconcile, release, repeats, suspicion, upkeep  # noqa: F401
from tasks.intake import intakes
from tasks.site import Site, open_sites
from tasks.snapshots import take_snapshot
from validation.verdict import Verdict

Told = list[list[str]]  # subject, outcome, first reason


def take_in(site: Site, as_of: datetime, *, kill: str = "", stop: str = "", group: int = 0) -> Told:
    """As flows/ingest.py does it. `kill`, `stop`: the point at which to, in the group of this number or a later one."""
    told: Told = []
    for number, landed in enumerate(arrivals.landed(site)):
        if number == group:
            _fail_at(kill=kill, stop=stop)
        told += _told(ingest.take_in.fn(landed, as_of))
    return told


def sweep(site: Site, as_of: datetime) -> Told:
    """As flows/reconcile.py does it, of the work that is ingest's."""
    told = _told(upkeep.tidy_up.fn(site, upkeep.due(site), as_of))
    if any(work.activity == "ingest" for work in reconcile.unfinished(site)):
        told += take_in(site, as_of)
    return told


def let_in(site: Site, as_of: datetime, *, kind: str, number: int, kill: str = "") -> Told:
    """As `andon quarantine release` does it."""
    _fail_at(kill=kill)
    return _told(release.release(site, kind, number, why="the sensor was right", as_of=as_of))


def drop(site: Site, as_of: datetime, *, kind: str, number: int) -> Told:
    """As `andon quarantine drop` does it."""
    return _told((release.drop(site, kind, number, why="not worth it", as_of=as_of),))


def snapshot(site: Site, as_of: datetime) -> list[Any]:
    """Its digest, and its rows."""
    found = take_snapshot.fn(site, as_of)
    assert found is not None, "there is nothing in the lake"
    return [found.digest, found.rows.rows()]


def maintain(site: Site, as_of: datetime) -> list[list[int]]:  # noqa: ARG001 - as all acts
    """Compact each table, however few files it has, and delete what is no part of it any more, however young."""
    done = [
        tables.maintain(item.place, site.lake.remote, work=site.work, min_files=2, retention=timedelta(0))
        for item in intakes(site)
    ]
    return [[item.compacted, item.deleted] for item in done]


ACTS: dict[str, Callable[..., Any]] = {
    "ingest": take_in,
    "reconcile": sweep,
    "release": let_in,
    "drop": drop,
    "snapshot": snapshot,
    "maintain": maintain,
}


def _told(verdicts: tuple[Verdict, ...]) -> Told:
    return [[verdict.subject, verdict.outcome, verdict.reasons[0]] for verdict in verdicts]


def _fail_at(*, kill: str = "", stop: str = "") -> None:
    os.environ |= {"ANDON_KILL_AT": kill, "ANDON_STOP_AT": stop}


def _act(asked: dict[str, Any], answer: Path) -> None:
    os.environ.update(asked["env"])
    for name, value in asked["limits"].items():
        module, _, constant = name.partition(".")
        setattr({"arrivals": arrivals, "admission": admission}[module], constant, value)
    if asked["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"], resource.RLIM_INFINITY))
    try:
        (site,) = open_sites(asked["pipeline"])
        found = {"found": ACTS[asked["act"]](site, datetime.fromisoformat(asked["as_of"]), **asked["more"])}
    except Exception as error:  # noqa: BLE001 - for the test to look at
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {error}"}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    answer.write_text(json.dumps(found, default=str))


def _begin(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _act(asked, Path(asked["answer"]))
    os._exit(0)


def _serve(requests: Iterator[str]) -> None:
    for line in requests:
        asked = json.loads(line)
        if asked["do"] == "begin":
            told: object = _begin(asked)
        else:
            told = os.waitstatus_to_exitcode(os.waitpid(asked["pid"], 0)[1])
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(iter(sys.stdin.readline, ""))
