"""What speaks against a new champion beside the gate: a pulled cord, a rollback not long ago, another champion by now.

Each answers in a sentence, or None. A person who forces a promotion passes over all of them, and so does a rollback.
"""

from datetime import datetime

from registry.ledger import Recorded
from tasks.history import paused, taken_back
from tasks.rollout_start import shadow_of
from tasks.site import Site
from validation.governor import cooldown_of
from validation.suppression import suppressed


def objection(site: Site, *, version: str, bundle_sha256: str, as_of: datetime) -> str | None:
    """Why nothing, or not this version (by number or by bytes), may become champion at the data time `as_of`."""
    if (why := paused(site.ledger, site.name)) is not None:
        return f"the cord is pulled ({why}); when it is solved: andon resume {site.name}"
    return suppressed(
        taken_back(site.ledger, site.name),
        cooldown=cooldown_of(site.pipeline.governor),
        version=version,
        bundle_sha256=bundle_sha256,
        as_of=as_of,
    )


def replaced(site: Site, judged: Recorded) -> str | None:
    """Why a gate's verdict has lost its worth: the champion that it compared with is not champion any more."""
    champion = site.ledger.champion(site.name)
    now, then = (champion.change.version if champion else ""), str(judged.body["champion_version"])
    if now == then:
        return None
    return (
        f"the gate compared version {judged.subject} with {_named(then)}, and now {_named(now)} is champion; "
        f"have a new challenger judged: andon retrain {site.name}"
    )


def ungranted(site: Site, judged: Recorded) -> str | None:
    """Why a gate's verdict does not let its version through: it is no "promote", and no person has approved; or one
    was to be asked, and has not answered, or has said no.
    """
    version = judged.subject
    asked = site.ledger.verdicts(site.name, kind="question", subject=version)
    question = next((item for item in asked if item.body["gate"] == judged.seq), None)
    answer = site.ledger.answer_to(question.seq) if question else None
    if (shadowed := _in_shadow(site, judged)) is not None:
        return shadowed
    if answer is not None:
        said = f"version {version} of {site.name!r} was {answer.outcome} by {answer.actor}: {answer.reasons[0]}"
        return None if answer.outcome == "approved" else said
    if question is not None:
        return f"a person is asked about version {version} of {site.name!r}: andon approve {site.name} --why ..."
    if judged.outcome != "promote":
        return f"the gate's verdict on version {version} of {site.name!r} is {judged.outcome!r}: {judged.reasons[0]}"
    why = judged.body.get("asks")
    return f"a person is to be asked about version {version} of {site.name!r} first: {why}" if why else None


def _in_shadow(site: Site, judged: Recorded) -> str | None:
    """What its time in the shadow says against it: it is not over, or it has failed."""
    row = shadow_of(site, judged)
    if row is None or row.outcome not in ("started", "failed"):
        return None
    why = row.reasons[0] if row.outcome == "started" else f"version {row.subject} has failed: {row.reasons[0]}"
    return f"{why} ({site.name!r})"


def forcing(site: Site, version: str) -> str:
    """The command that passes over all of these."""
    return f"andon promote {site.name} {version} --force --why ..."


def _named(version: str) -> str:
    return f"version {version}" if version else "no champion"
