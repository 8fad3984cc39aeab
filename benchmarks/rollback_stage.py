"""Where rollbacks are measured: an installation with two champions of the flights, its servers, this process in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from andon.processes import environment, free_port, start_prefect_server, start_scorer
from andon.settings import Settings
from demo.stage import in_process_flows
from demo.weeks import Replay, asked
from modelling.recipes import SPACE, Recipe

if TYPE_CHECKING:
    from tasks.site import Site

NAME = "flights"
RECIPE = Recipe(params=dict(zip(SPACE, (0.05, 63, 50, 0.8, 0.8, 1.0), strict=True)), rounds=300)
WEEKS = {"1": range(4, 12), "2": range(4, 20)}  # what each version has learned


@contextmanager
def installation(settings: Settings) -> Iterator[tuple[dict[str, str], str]]:
    """Prefect's server and the scorer; their environment, and the scorer's address."""
    prefect_port, scorer_port = free_port(), free_port()
    env = environment(settings, prefect_port=prefect_port, scorer_port=scorer_port)
    home = settings.home.absolute()
    server = start_prefect_server(home, prefect_port, env=env, wait=True)
    try:
        scorer = start_scorer(home, scorer_port, env=env)
        try:
            yield env, f"http://127.0.0.1:{scorer_port}"
        finally:
            scorer.stop()
    finally:
        server.stop()


@contextmanager
def speaking_to(env: dict[str, str]) -> Iterator[None]:
    """This process talks to the installation's server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    ours = {PREFECT_API_URL: env["PREFECT_API_URL"], PREFECT_HOME: env["PREFECT_HOME"]}
    with temporary_settings(ours), in_process_flows():
        yield


def open_site() -> "Site":
    from tasks.site import open_sites

    (site,) = open_sites(NAME)
    return site


def two_champions(site: "Site", replay: Replay, folder: Path) -> list[float]:
    """Train, register and promote both versions; returns their sizes on disk."""
    from modelling import bundle
    from modelling.training import fit
    from registry.ledger import Change
    from registry.promotion import promote
    from registry.store import Submission

    sizes = []
    for epoch, (version, weeks) in enumerate(WEEKS.items()):
        rows = _learnable(site, replay, weeks)
        model = fit(site.pipeline.spec, rows, RECIPE, seed=7, threads=1)
        place = folder / f"bundle-{version}"
        sha256 = bundle.write(
            place, model=model, pipeline=NAME, definition=site.pipeline.module_source, rows=rows,
            definition_hash=site.pipeline.fingerprint, snapshot="", profile_json="{}",
        )  # fmt: skip
        sizes.append(sum(file.stat().st_size for file in place.iterdir()) / 1e6)
        submission = Submission(
            pipeline=NAME, bundle=place, bundle_sha256=sha256, intent=version, attempt=1, verdict="promote"
        )
        change = Change(
            pipeline=NAME, kind="promotion", version=site.store.register(submission), bundle_sha256=sha256,
            trained_until=model.trained_until, why="the benchmark's", data_time=datetime.now(UTC), actor=site.actor,
        )  # fmt: skip
        promote(site.ledger, site.store, change=change, expected_epoch=epoch)
    return sizes


def _learnable(site: "Site", replay: Replay, weeks: range) -> pl.DataFrame:
    rows = pl.concat([asked(replay, number, site.pipeline.lookups) for number in weeks])
    files = [week.labels for week in replay.weeks if week.labels is not None]
    return rows.join(pl.read_parquet(files).drop("known_at"), on="flight_id")
