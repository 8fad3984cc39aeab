"""An alias that was moved by hand: a person who meant it makes the ledger say the same, after the same proof."""

from registry.ledger import Change
from registry.promotion import promote
from registry.rules import announcement
from tasks.events import announce
from tasks.form import connected
from tasks.objections import forcing, objection
from tasks.promote import check_why
from tasks.proof import prove
from tasks.showing import show_standing
from tasks.site import Site, moment
from validation.errors import RefusedError
from validation.verdict import Verdict

ALIAS = "alias champion"  # the subject of reconcile's reports on it


def adopt(site: Site, version: str | None, why: str) -> Verdict:
    """Make champion what the alias says now, or said when reconcile last put it back.

    RefusedError when there is nothing to adopt, when the cord is pulled, after a rollback from this version not long
    ago, or when its bundle does not load and answer. Waits for no lease: two at once have one winner.
    """
    check_why(why, site.name)
    current = site.ledger.champion(site.name)
    found = _moved(site)
    wanted = version or next(iter(found), None)
    if wanted is None or wanted not in found:
        raise RefusedError(_nothing(site, version, found))
    proven, as_of = prove(site, wanted), moment(None)
    why_not = objection(site, version=wanted, bundle_sha256=proven.bundle_sha256, as_of=as_of)
    if why_not is not None:
        raise RefusedError(f"{why_not}; to pass over this rule, marked for ever: {forcing(site, wanted)}")
    judged = site.ledger.verdicts(site.name, kind="gate", subject=wanted, limit=1)
    change = Change(
        pipeline=site.name,
        kind="adoption",
        version=wanted,
        bundle_sha256=proven.bundle_sha256,
        trained_until=proven.trained_until,
        why=why,
        data_time=as_of,
        actor=site.actor,
        evidence=judged[0].seq if judged else None,
    )
    champion = promote(site.ledger, site.store, change=change, expected_epoch=current.epoch if current else 0)
    if connected():
        announce("champion.promoted", site.name, version=wanted, as_of=as_of.isoformat())
    show_standing(site)
    return announcement(champion)


def _moved(site: Site) -> list[str]:
    """The versions that the alias was moved to since the newest champion was made: now, and by the newest repair."""
    champion = site.ledger.champion(site.name)
    said = [site.store.projected(site.name)]
    for repair in site.ledger.verdicts(site.name, kind="repair", subject=ALIAS):
        if repair.body.get("found") and (champion is None or repair.recorded_at >= champion.recorded_at):
            said[1:] = [repair.body["found"]]
    return [item for item in said if item and (champion is None or item != champion.change.version)]


def _nothing(site: Site, version: str | None, found: list[str]) -> str:
    if version is not None and found:
        return (
            f"the alias champion of {site.name!r} was not moved to version {version}, but to {found[0]}; for another "
            f"one: {forcing(site, version)}"
        )
    return (
        f"there is nothing to adopt for {site.name!r}: nobody has moved its alias in MLflow since its champion "
        f"was made; to make a version champion by hand: andon promote {site.name} VERSION --why ..."
    )
