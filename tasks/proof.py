"""Proof that a version can serve: its exact bytes are fetched, and a fresh process loads, verifies and queries them.

Nobody passes over this, not even by force: a champion that does not load is none.
"""

import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from registry.ledger import Change
from tasks.site import Site
from validation.errors import RefusedError, RegistryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A version whose bytes were asked and have answered; `trained_until` as its manifest says."""

    version: str
    bundle_sha256: str
    trained_until: datetime


def prove(site: Site, version: str) -> Proven:
    """Fetch the version from the model store and ask it. RegistryError when its bytes are not those that the ledger
    knows by this number; RefusedError when they do not load and answer; NoChampionError for an unknown version.
    """
    from modelling import bundle

    place = site.work / f"proof-{uuid.uuid4().hex}"
    try:
        site.store.fetch(site.name, version, into=place)
        sha256 = bundle.digest(place)
        for known in sorted(known_digests(site, version)):
            if known != sha256:
                raise RegistryError(
                    f"{site.name} version {version}: the stored bundle has sha256 {sha256[:12]}, the ledger knows it "
                    f"as {known[:12]}; somebody changed it: restore it, or retrain: andon retrain {site.name}"
                )
        check_folder(site, version, place, sha256)
        until = bundle.load(place, sha256=sha256).manifest.trained_until
        _keep(site, place, sha256)
        return Proven(version=version, bundle_sha256=sha256, trained_until=until)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prove_again(site: Site, change: Change) -> None:
    """Ask the bundle that `change` made champion once, from this machine where it is here. RefusedError as above."""
    from tasks.champions import bundle_folder

    check_folder(site, change.version, bundle_folder(site, change), change.bundle_sha256)


def check_folder(site: Site, version: str, folder: Path, sha256: str) -> None:
    """RefusedError unless a fresh process loads the bundle in `folder` and gets its golden answers."""
    from modelling.loadcheck import check_in_fresh_process

    checked = check_in_fresh_process(folder, sha256)
    if not checked.ok:
        raise RefusedError(
            f"version {version} of {site.name!r} does not load and answer ({checked.error}); name another one: "
            f"andon history {site.name}"
        )


def known_digests(site: Site, version: str) -> set[str]:
    """What the ledger says of the version's bytes: by the gate's verdicts on it, and by its reigns."""
    judged = {str(item.body["bundle_sha256"]) for item in site.ledger.verdicts(site.name, kind="gate", subject=version)}
    reigns = site.ledger.champions(site.name)
    return (judged | {item.change.bundle_sha256 for item in reigns if item.change.version == version}) - {""}


def _keep(site: Site, place: Path, sha256: str) -> None:
    """The proven bundle stays on this machine, so that it can be gone back to while the model store is away."""
    kept = site.settings.home.absolute() / "bundles" / site.name / sha256
    kept.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # it is here already
        place.rename(kept)
