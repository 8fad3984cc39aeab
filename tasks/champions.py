"""The champion's bundle on this machine: what predicts, and what the next challenger is compared with."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelling import bundle
from modelling.bundle import Bundle
from registry.cache import cached_bundle
from registry.ledger import Champion, Change
from tasks.site import Site
from validation.errors import RegistryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The champion as a challenger meets it; without `bundle` it cannot be loaded, for the reason `unable`."""

    version: str
    trained_until: datetime
    bundle: Bundle | None
    unable: str = ""


def bundle_folder(site: Site, change: Change) -> Path:
    """The folder of the bundle that `change` made champion, on this machine; fetched and verified when it is new."""
    folder = site.settings.home.absolute() / "bundles"
    return cached_bundle(change, lambda: site.store, folder=folder, digest=bundle.digest)


def champion_bundle(site: Site) -> tuple[Champion, Bundle] | None:
    """The champion's row in the ledger and its bundle; None when there is no champion yet."""
    champion = site.ledger.champion(site.name)
    if champion is None:
        return None
    folder = bundle_folder(site, champion.change)
    return champion, bundle.load(folder, sha256=champion.change.bundle_sha256)


def incumbent(site: Site) -> Incumbent | None:
    """The champion to be compared with, None when there is none yet. One whose bundle is lost or damaged is told as
    unable, never taken for "no champion"; ServiceDownError when it cannot be known.
    """
    champion = site.ledger.champion(site.name)
    if champion is None:
        return None
    change, found, unable = champion.change, None, ""
    try:
        found = bundle.load(bundle_folder(site, change), sha256=change.bundle_sha256)
    except RegistryError as error:
        unable = str(error)
    return Incumbent(version=change.version, trained_until=change.trained_until, bundle=found, unable=unable)
