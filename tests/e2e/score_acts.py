"""Acts of scoring in processes that are killed, forked from one that has imported everything and done nothing."""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.site import Site

AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
_PRELOADED = ("benchmarks.batch_world", "flows.score", "storage.publishing.sqlite", "tests.e2e.score_acts")


def run(home: Path, log: Path, **env: str) -> int:
    """Score what is due in `home` and finish what waits, as the flow does; the process's exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(target=_act, args=(home, log, env))
    process.start()
    process.join(60)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode


def site_of(home: Path, env: Mapping[str, str]) -> "Site":
    """The site in this process, with these variables."""
    from benchmarks.batch_world import NAME, speak_of
    from tasks.site import open_sites

    speak_of(home)
    os.environ.update(env)
    (site,) = open_sites(NAME)
    return site


def _act(home: Path, log: Path, env: Mapping[str, str]) -> None:
    from tasks import score

    sys.stderr = log.open("a")
    score.announce = lambda *_, **__: None  # type: ignore[attr-defined]  # nobody listens: there is no Prefect here
    try:
        site = site_of(home, env)
        for batch in score.unscored(site.ledger, site.name):  # type: ignore[attr-defined]
            score.score_batch.fn(site, batch, AS_OF, through="engine")
        score.finish_deliveries.fn(site, AS_OF)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
