"""Carrying out what the gate said about a challenger: promote, ask a person, wait for evidence, or end it here."""

from dataclasses import dataclass

from registry.ledger import Recorded
from tasks.crowning import ask_about, dry, promote_judged
from tasks.events import announce
from tasks.orders import Order
from tasks.rollout_start import as_shadow, goes_first, into_shadow
from tasks.showing import show_standing
from tasks.waiting import await_evidence, may_look_again
from validation.deeds import skipped
from validation.failpoints import reached
from validation.gate import GateVerdict
from validation.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The gate's verdict, with the challenger's version, and its row in the ledger."""

    verdict: GateVerdict
    recorded: Recorded


def settle(order: Order, filed: Filed) -> Verdict:
    """Carry the verdict out, and close the intent or let it wait. Returns the verdict, or what has come of it: that it
    answers in the shadow first, or why it did not become champion.
    """
    site, verdict, intent, lease = order.site, filed.verdict, order.intent, order.lease
    if verdict.asks:
        ask_about(site, intent, filed.recorded, lease=lease)
    elif verdict.outcome == "promote":
        return _let_wait(order, filed) if goes_first(site, filed.recorded) else _promote(order, filed)
    elif may_look_again(filed.recorded):
        await_evidence(site, intent, filed.recorded, lease=lease)
    else:
        site.ledger.close(intent.id, outcome=verdict.outcome, lease=lease)
    show_standing(site)
    announce("challenger.rejected", site.name, outcome=verdict.outcome, as_of=order.as_of.isoformat())
    reached("retrain.closed")
    return verdict


def _let_wait(order: Order, filed: Filed) -> Verdict:
    """It answers in the shadow first; the intent waits, and the sweep does the rest."""
    site = order.site
    row = into_shadow(site, order.intent, filed.recorded, lease=order.lease)
    show_standing(site)
    announce("challenger.shadowed", site.name, version=row.subject, as_of=order.as_of.isoformat())
    reached("retrain.closed")
    return as_shadow(row)


def _promote(order: Order, filed: Filed) -> Verdict:
    site, told = order.site, dry(filed.recorded)
    obstacle = None if told else promote_judged(site, filed.recorded, epoch=order.epoch, lease=order.lease)
    show_standing(site)
    site.ledger.close(order.intent.id, outcome=told or obstacle or filed.verdict.outcome, lease=order.lease)
    reached("retrain.closed")
    return filed.verdict if obstacle is None else skipped("retrain", site.name, obstacle, order.as_of)
