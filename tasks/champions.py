"""The champion's bundle on this machine: what predicts, and what the next challenger is compared with."""

from pathlib import Path

from modelling import bundle
from modelling.bundle import Bundle
from registry.cache import cached_bundle
from registry.ledger import Champion, Change
from tasks.site import Site


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
