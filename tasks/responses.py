"""What Andon does about a trouble, in words, by the ledger: of a retrain what has become of it. Decides nothing."""

from registry.ledger import Champion, Intent
from tasks.approval import AWAITING
from tasks.history import paused
from tasks.rollout_start import SHADOW
from tasks.site import Site
from validation.governor_rules import BREAKER, CORD
from validation.watch.alarms import Response
from validation.watch.incidents import Severity

_OUTCOME_CHARACTERS = 300


def response(site: Site, champion: Champion) -> Response:
    """What is done now. NOTE: no number that changes by itself stands in it, since a new sentence is told to people."""
    doing, severity = _doing(site)
    return Response(doing=doing, severity=severity, champion=champion.change.version, ask=ask(site))


def ask(site: Site) -> str:
    """Whom to ask about bad data, and where it comes from."""
    pipeline = site.pipeline
    return f"ask {pipeline.owner or 'whoever delivers it'} what has changed in {pipeline.source.path}"


def _doing(site: Site) -> tuple[str, Severity]:
    why = paused(site.ledger, site.name)
    if why is not None:
        told = f"nothing, as the cord is pulled ({why}); when that is solved: andon resume {site.name}"
        return told, "a person must act"
    intents = site.ledger.intents(site.name)
    live = [intent for intent in intents if intent.state != "closed"]
    if live:
        return _on_its_way(site, live[-1])
    if not intents:
        return "nothing yet: there is no reason to retrain", "a person should look"
    last = intents[-1]
    outcome = last.outcome.removeprefix("refused: ")[:_OUTCOME_CHARACTERS]
    if outcome != last.outcome:
        return f"no retrain, which was refused: {outcome}", "a person must act"
    told = f"nothing for now; the retrain that was asked for on {last.data_time:%Y-%m-%d} ended with: {outcome}"
    return told, "a person should look"


def _on_its_way(site: Site, intent: Intent) -> tuple[str, Severity]:
    asked = f"a retrain was asked for on {intent.data_time:%Y-%m-%d}"
    if intent.state != "deferred":
        return f"{asked}; what comes of it serves only when it is proven better", "Andon acts"
    if intent.condition == AWAITING:
        told = f"a retrained version waits for a person's answer: andon approve {site.name} (or reject)"
        return told, "a person must act"
    if intent.condition == SHADOW:
        return "a retrained version answers in the shadow, and takes over if nothing speaks against it", "Andon acts"
    if intent.condition in (BREAKER, CORD):
        told = (
            f"{asked}, and waits for {intent.condition}; find out why it came to that, then: andon resume {site.name}"
        )
        return told, "a person must act"
    if intent.condition or intent.until is None:  # the moment of the next look moves with each look
        return f"{asked}, and waits for {intent.condition or 'its moment'}", "Andon acts"
    return f"{asked}, and waits until {intent.until:%Y-%m-%d %H:%M}", "Andon acts"
