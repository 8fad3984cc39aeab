"""After a promotion: the new champion is watched, its predecessor answers in the shadow, and takes over again when the
new one is found to be worse.

Decided first: the ledger's one answer to the row by which the watch began says what is done, and whoever comes next
does it, once, and only while the same reign lasts. A cord that is pulled, and a version that a person has put there
past the gate, keep Andon's hands off: then it tells people, and they roll back. It waits for no retrain's lease.
"""

from dataclasses import replace
from datetime import datetime

from registry.ledger import Champion, Recorded
from registry.promotion import previous
from registry.rollout_words import WATCH
from storage.snapshot import LABELS
from tasks.history import paused
from tasks.leases import holding
from tasks.live import Figures, read_figures
from tasks.promote import roll_back_to
from tasks.rollout_memo import Look, Memo, read_memo, write_memo
from tasks.rollout_pairs import Pairing, Pairs, over_by, pairs
from tasks.rows import as_verdict
from tasks.site import Site
from tasks.taking import label_rules
from tasks.telling import log, note
from validation.durations import span
from validation.errors import RefusedError
from validation.failpoints import reached
from validation.intervals import Interval, paired_interval, plain
from validation.rollout_looks import Looks, block_of, looks_of
from validation.rollout_rules import Live, WatchFacts, decide_watch
from validation.rollout_verdict import ProbationVerdict
from validation.verdict import Verdict

ROLLING = "rollout"  # the activity of the lease under which something new is written
STANDING = ("started", "waits for labels")
_BY_PERSON = {"forced": "forced past the gate", "adoption": "adopted by hand"}


def probation_of(site: Site, champion: Champion) -> Recorded | None:
    """The newest word on the champion's reign; None: nobody watches it."""
    row = next(iter(site.ledger.verdicts(site.name, kind="probation", limit=1)), None)
    return row if row is not None and row.body["epoch"] == champion.epoch else None


def begin_watch(site: Site, since: datetime) -> tuple[Verdict, ...]:
    """Watch the champion from `since` (data time) on, where its definition says so and there is one before it; once.

    While another process begins, it is left to that.
    """
    if _news(site, since) is None:
        return ()
    with holding(site, ROLLING) as lease:
        verdict = _news(site, since) if lease else None
        if verdict is None:
            return ()
        note(site, verdict, lease=lease)
    return (verdict,)


def watch_champion(site: Site, as_of: datetime) -> tuple[Verdict, ...]:
    """Begin to watch, look, or do what was decided. Empty while there is no news."""
    champion = site.ledger.champion(site.name)
    row = probation_of(site, champion) if champion else None
    if champion is None or row is None:
        return begin_watch(site, as_of)
    if row.outcome == "roll back":
        return _roll_back(site, champion, row, as_of)
    if row.outcome not in STANDING:
        return ()
    verdict, memo = _looked(site, champion, row, as_of)
    if verdict is None:
        write_memo(site, memo)
        return ()
    try:
        word = site.ledger.answer(row.seq, verdict, actor=site.actor)
    except RefusedError:  # another sweep has said it, and does what follows from it
        return ()
    write_memo(site, memo)  # not before: a look whose finding is lost must be had again
    log.info("%s", verdict)
    reached("watch.judged")
    return (verdict, *(_roll_back(site, champion, word, as_of) if verdict.outcome == "roll back" else ()))


def _news(site: Site, since: datetime) -> ProbationVerdict | None:
    """The word by which the watch begins, where it is due."""
    champion = site.ledger.champion(site.name)
    if champion is None or probation_of(site, champion) is not None:
        return None
    return _started(site, champion, since)


def _started(site: Site, champion: Champion, since: datetime) -> ProbationVerdict | None:
    policy, change = site.pipeline.rollout, champion.change
    if policy.watch is None or change.kind == "rollback":
        return None
    before = previous(site.ledger.champions(site.name))
    if before is None or site.ledger.now() - champion.recorded_at > span(policy.watch):
        return None
    until = since + span(policy.watch)
    how = (
        f"version {before} answers in the shadow meanwhile and takes over again if it is worse: more than "
        f"{policy.max_error_share:.2%} of its answers fail, or labels prove a higher loss"
    )
    if change.kind in _BY_PERSON:
        how = f"{_BY_PERSON[change.kind]}, it stays whatever is found, and people are told"
    return ProbationVerdict(
        pipeline=site.name,
        subject=change.version,
        outcome="started",
        reasons=(f"version {change.version} is watched until {until:%Y-%m-%d %H:%M}; {how}",),
        data_time=since,
        epoch=champion.epoch,
        previous=before,
        since=since,
        until=until,
    )


def _looked(site: Site, champion: Champion, row: Recorded, as_of: datetime) -> tuple[ProbationVerdict | None, Memo]:
    """What is to be said of the champion now (None: no news), and what is to be remembered once it is said."""
    known, policy = as_verdict(row, ProbationVerdict), site.pipeline.rollout
    rules, started = label_rules(site), row.outcome == "started"
    length = known.until - known.since
    looks = looks_of(policy, length, least=site.pipeline.gate.min_blocks)
    figures = read_figures(site) if started else None
    memo = _remembered(site, read_memo(site).of(champion.epoch), figures)
    pairing = _pairing(site, champion, known)
    over, ended = over_by(pairing, as_of - rules.matures_after), as_of >= known.until
    last = as_of - rules.matures_after - rules.grace >= known.until  # what has no label now will have none
    facts = WatchFacts(
        live=_live(figures, memo),
        before=figures.reigns.get(champion.epoch - 1) if figures else None,
        hands_off=_hands_off(site, champion),
    )
    look = looks.at(over)
    seen = _look(site, look)
    if (look and seen != memo.looked) or (ended and (started or last)):
        found = pairs(site, pairing, as_of)
        labels_over = over >= looks.planned and not found.unlabelled
        facts = replace(facts, gain=_gain(found, look, looks), look=look, unlabelled=found.unlabelled)
        facts = replace(facts, labels_over=labels_over, is_over=ended and (started or labels_over))
        memo = memo.with_look(seen)
    decision = decide_watch(facts, policy, looks)
    return (None if decision is None else _worded(known, facts, decision, as_of)), memo


def _look(site: Site, blocks: int) -> Look:
    """A look with the labels that Andon has now: those of a block may come later than they are mature."""
    numbers = [batch.number for batch in site.ledger.batches(site.name, kind=LABELS, states=("accepted",))]
    return Look(blocks=blocks, batches=len(numbers), newest=max(numbers, default=0))


def _pairing(site: Site, champion: Champion, known: ProbationVerdict) -> Pairing:
    reigns = {reign.change.version: reign.change for reign in site.ledger.champions(site.name)}
    length = known.until - known.since
    block = block_of(length, least=site.pipeline.gate.min_blocks)
    return Pairing(
        began=champion.recorded_at,
        live=champion.change,
        shadow=reigns[known.previous],
        since=known.since,
        until=known.until,
        block=block,
    )


def _gain(found: Pairs, look: int, looks: Looks) -> Interval | None:
    """On the blocks of this look alone: those that came since are for the next one."""
    mine = found.blocks < look
    if not look or not mine.any():
        return None
    return paired_interval(found.shadow[mine] - found.live[mine], found.blocks[mine], alpha=looks.alpha)


def _remembered(site: Site, memo: Memo, figures: Figures | None) -> Memo:
    live = figures.reigns.get(memo.epoch) if figures else None
    return memo if live is None else memo.with_sample(live, site.ledger.now())


def _live(figures: Figures | None, memo: Memo) -> tuple[Live, ...]:
    own = figures.reigns.get(memo.epoch) if figures else None
    recent = memo.recent() if own else None
    return tuple(item for item in (own, recent) if item is not None)


def _hands_off(site: Site, champion: Champion) -> str:
    """Why nothing is rolled back by itself."""
    command = f"andon rollback {site.name} --why ..."
    if (why := paused(site.ledger, site.name)) is not None:
        return f"the cord is pulled ({why}), so a person must decide: {command}"
    if champion.change.kind in _BY_PERSON:
        how = _BY_PERSON[champion.change.kind]
        return f"version {champion.change.version} was {how} by {champion.change.actor}, so a person decides: {command}"
    return ""


def _worded(
    known: ProbationVerdict, facts: WatchFacts, decision: tuple[str, tuple[str, ...], str], as_of: datetime
) -> ProbationVerdict:
    outcome, reasons, found = decision
    live, gain = facts.live[0] if facts.live else None, facts.gain
    return replace(
        known,
        outcome=outcome,
        reasons=reasons,
        data_time=as_of,
        requests=live.requests if live else known.requests,
        failed=live.failed if live else known.failed,
        p95_ms=live.p95_ms if live else known.p95_ms,
        labelled=gain.rows if gain else 0,
        blocks=gain.blocks if gain else 0,
        gain=gain.mean if gain else None,
        lower=plain(gain.lower) if gain else None,
        upper=plain(gain.upper) if gain else None,
        found=found,
    )


def _roll_back(site: Site, champion: Champion, word: Recorded, as_of: datetime) -> tuple[Verdict, ...]:
    """Put the predecessor back, unless the reign has ended meanwhile, or a person has pulled the cord."""
    if (reason := paused(site.ledger, site.name)) is not None:
        log.info("%s: nothing is rolled back, as the cord is pulled (%s)", site.name, reason)
        return ()
    why = f"found {word.body['found']} while it was watched: {word.reasons[0]}"
    try:
        return (roll_back_to(site, str(word.body["previous"]), why, as_of, actor=WATCH, only_epoch=champion.epoch),)
    except RefusedError as error:
        now = site.ledger.champion(site.name)
        if now is not None and now.epoch == champion.epoch:  # the predecessor does not load: people must be told
            raise
        log.info("%s: no rollback is due any more: %s", site.name, error)
        return ()
