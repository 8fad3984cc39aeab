"""What dead attempts have left behind: versions and runs in the model store, folders on this machine. None of it is in
anybody's way; it is marked or removed so that nobody takes it for more than it is.
"""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from prefect import task

from registry.projection import clear_abandoned, project_story
from tasks.leases import holding
from tasks.policies import PLAIN
from tasks.repairs import at_work
from tasks.site import Site
from tasks.telling import log, note
from validation.deeds import Repair
from validation.errors import RegistryError, ServiceDownError
from validation.failpoints import reached

_DRAFT_SECONDS = 3_600  # nothing takes so long that is written into such a folder


@task(task_run_name="clear up", **PLAIN)
def clear_up(site: Site, as_of: datetime) -> tuple[Repair, ...]:
    """Mark or remove it, and tell it. Where nothing was left, nothing is written."""
    found = [*_folders(site), *_drafts(site), *_strays(site)]
    reached("reconcile.cleared")
    verdicts = tuple(
        Repair(pipeline=site.name, subject=subject, outcome="repaired", reasons=(why,), data_time=as_of)
        for subject, why in found
    )
    for verdict in verdicts:
        note(site, verdict)
    _show(site)
    return verdicts


def _strays(site: Site) -> Iterator[tuple[str, str]]:
    """Versions and runs of the store that came to no verdict. Marked under the retrain's lease: whoever is training has
    a run that goes on, and no verdict yet.
    """
    try:
        if clear_abandoned(site.ledger, site.store, site.name, mark=False):
            with holding(site, "retrain") as lease:
                told = clear_abandoned(site.ledger, site.store, site.name) if lease else ()
            yield from (("model store", why) for why in told)
    except (ServiceDownError, RegistryError) as error:  # it was told with the alias, and the next sweep comes
        log.info("%s: %s", site.name, error)


def _show(site: Site) -> None:
    """Let the store tell of each version what the ledger says by now."""
    try:
        for why in project_story(site.ledger, site.store, site.name):
            log.info("%s: %s", site.name, why)
    except (ServiceDownError, RegistryError) as error:
        log.info("%s: %s", site.name, error)


def _folders(site: Site) -> Iterator[tuple[str, str]]:
    """Bundles of attempts that are over, whole or half-written, in the work folder."""
    intents = "|".join(re.escape(intent.id) for intent in site.ledger.intents(site.name))
    name = re.compile(rf"\.?({intents})-\d+(-\w+)?")
    # NOTE: folders first; one that was made after leases were read would be taken for a dead attempt's.
    left = [folder for folder in site.work.iterdir() if name.fullmatch(folder.name)]
    if left and not at_work(site, "retrain"):
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        yield "work folder", f"{_counted(left, 'folder of a dead retrain', 'folders of dead retrains')} removed"


def _drafts(site: Site) -> Iterator[tuple[str, str]]:
    """Bundles that somebody began to fetch, and never finished; and models that were to be proven."""
    home = site.settings.home.absolute()
    drafts = [*(home / "bundles" / site.name).glob(".*"), *site.work.glob("candidate-*"), *site.work.glob("proof-*")]
    left = [draft for draft in drafts if _age_seconds(draft) > _DRAFT_SECONDS]
    for draft in left:
        shutil.rmtree(draft, ignore_errors=True) if draft.is_dir() else draft.unlink(missing_ok=True)
    if left:
        yield "bundles", f"{_counted(left, 'half-fetched bundle', 'half-fetched bundles')} removed"


def _age_seconds(draft: Path) -> float:
    """Since anything in it was last written; nothing if it is gone."""
    try:
        return time.time() - max(path.stat().st_mtime for path in (draft, *draft.rglob("*")))
    except FileNotFoundError:
        return 0.0


def _counted(found: Sequence[Path], one: str, many: str) -> str:
    return f"a {one} was" if len(found) == 1 else f"{len(found)} {many} were"
