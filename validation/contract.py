"""May this batch go on? Judges a batch against its Pandera contract, which is compiled to one query for each file.

First the columns are compared with the contract: missing or of another type, and nothing else is asked. Then every
rule is asked for every row; broken rows are set aside, up to the policy's limits. NaN counts as null. Beside the
contract's rules, every row needs a key (the first row of a key counts) and an event time. Writes the dead letter only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from validation import dead_letter as letters
from validation import judging
from validation.asking import Outcome
from validation.errors import ContractError, DefinitionError
from validation.fingerprint import contract_fingerprint
from validation.judging import Findings
from validation.plan import Plan, plan_of
from validation.positions import Marked, without
from validation.rules import in_reach, is_named, rule_names, schema_of
from validation.terms import MAX_AHEAD, ContractVerdict, Judged, Quarantine, RuleCount, Terms

__all__ = [
    "MAX_AHEAD", "ContractVerdict", "Judged", "Quarantine", "RuleCount", "Terms", "check_limits",
    "contract_fingerprint", "duplicate", "judge_batch", "refused",
]  # fmt: skip

MAX_REASONS = 20


def refused(*, pipeline: str, batch: str, reason: str, as_of: datetime, rows_in: int = 0) -> ContractVerdict:
    """The verdict on a batch that cannot even be judged, such as an unreadable file."""
    return ContractVerdict(
        pipeline=pipeline, subject=batch, outcome="refuse", reasons=(reason,), data_time=as_of, rows_in=rows_in
    )


def duplicate(*, pipeline: str, batch: str, reason: str, as_of: datetime) -> ContractVerdict:
    """The verdict on a file whose bytes arrived before."""
    return ContractVerdict(pipeline=pipeline, subject=batch, outcome="duplicate", reasons=(reason,), data_time=as_of)


def check_limits(policy: Quarantine, contract: Any, *, key: Sequence[str], time: str) -> None:
    """DefinitionError when `policy.per_rule` names a rule that the contract does not have."""
    schema = schema_of(contract)
    names = rule_names(schema, key=key, time=time)
    for name in policy.per_rule:
        if not is_named(name, names, schema):
            raise DefinitionError(f"quarantine.per_rule names {name!r}, the contract's rules are: {', '.join(names)}")


def judge_batch(
    scan: pl.LazyFrame,
    terms: Terms,
    *,
    pipeline: str,
    batch: str,
    as_of: datetime,
    dead_letter: Path,
    text: bool = False,
) -> Judged:
    """Judge one batch. `text`: the scan's columns are text (CSV), to be read as the contract's types.

    ContractError when the file cannot be read to its end.
    """
    subject = _Subject(pipeline=pipeline, batch=batch, as_of=as_of, terms=terms, path=dead_letter)
    try:
        return _judged(subject, scan, text=text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as cause:
        if judging.is_readable(scan):
            raise  # not for the data owner: a full disk, or a fault of ours
        reason = str(cause).partition("\n")[0][:200]
        raise ContractError(f"{batch} cannot be read: {reason}; upload it again") from cause


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    pipeline: str
    batch: str
    as_of: datetime
    terms: Terms
    path: Path


def _judged(subject: _Subject, scan: pl.LazyFrame, *, text: bool) -> Judged:
    terms = subject.terms
    plan = plan_of(terms.contract, _schema(scan), key=terms.key, time=terms.time, text=text)
    rows = int(scan.select(pl.len()).collect(engine="streaming").item())
    if faults := plan.faults or (() if rows else ("the batch has no rows",)):
        verdict = _verdict(subject, reasons=faults, outcome="refuse", rows_in=rows)
        return Judged(verdict=verdict, good=pl.LazyFrame(), bad=None)
    findings = judging.find(
        plan, scan, rows=rows, time=terms.time, path=subject.path, wants_newest=terms.max_age is not None,
        reach=in_reach(terms.time, as_of=subject.as_of, ahead=terms.max_ahead, taken=plan.rules),
    )  # fmt: skip
    verdict = _weighed(subject, plan, findings, rows=rows)
    return Judged(
        verdict=verdict,
        good=_good(plan, scan, None if verdict.outcome == "refuse" else findings, subject.path, rows=rows),
        bad=subject.path if findings.bad else None,
        outcomes=findings.outcomes,
    )


def _schema(scan: pl.LazyFrame) -> pl.Schema:
    """NOTE: of a copy. A scan that was asked for its schema filters and numbers rows no more while it reads them."""
    return scan.clone().collect_schema()


def _weighed(subject: _Subject, plan: Plan, findings: Findings, *, rows: int) -> ContractVerdict:
    enforced = [item for item in findings.outcomes if not item.rule.only_warns]
    broken = sorted((item for item in enforced if item.rows), key=lambda item: -item.rows)
    counted = [_counted(item, findings) for item in broken]
    faults = [item.fault for item in enforced if item.fault]
    faults += [*_stale(subject, findings.newest), *_over_limit(counted, findings.bad, rows, subject.terms.policy)]
    told = [_told(item, count, rows) for item, count in zip(broken, counted, strict=True)]
    asked = sum(not rule.only_warns for rule in plan.rules)
    return _verdict(
        subject,
        outcome="refuse" if faults else "quarantine" if findings.bad else "accept",
        reasons=(*faults, *told) or (f"all {rows:,} rows keep the contract's {asked} rules",),
        rows_in=rows,
        rows_accepted=0 if faults else rows - findings.bad,
        rows_quarantined=findings.bad,
        rules=tuple(counted),
        warnings=tuple(_warnings(findings, rows)),
    )


def _verdict(subject: _Subject, *, reasons: Sequence[str], **numbers: Any) -> ContractVerdict:
    return ContractVerdict(
        pipeline=subject.pipeline,
        subject=subject.batch,
        reasons=tuple(reasons[:MAX_REASONS]),
        data_time=subject.as_of,
        fingerprint=contract_fingerprint(subject.terms.contract),
        **numbers,
    )


def _good(plan: Plan, scan: pl.LazyFrame, findings: Findings | None, path: Path, *, rows: int) -> pl.LazyFrame:
    """The accepted rows; they are not asked again, since the positions of all others are known."""
    columns = plan.columns
    if findings is None:
        return columns.parsed(scan).select(columns.order).clear()
    if not findings.bad:
        return columns.parsed(scan).select(columns.order)
    bad = Marked(name="bad", positions=letters.positions(path), rows=rows)
    return columns.parsed(without(scan, bad)).select(columns.order)


def _stale(subject: _Subject, newest: datetime | None) -> Iterator[str]:
    max_age, as_of = subject.terms.max_age, subject.as_of
    if max_age is not None and newest is not None and newest < as_of - max_age:
        yield f"the newest row is of {newest:%Y-%m-%d %H:%M}, {as_of - newest} old; at most {max_age} is allowed"


def _counted(item: Outcome, findings: Findings) -> RuleCount:
    return RuleCount(name=item.rule.name, rows=item.rows, sample=findings.samples[item.rule.name])


def _told(item: Outcome, count: RuleCount, rows: int) -> str:
    verb = "only warned of" if item.rule.only_warns else "set aside"
    return (
        f"{count.rows:,} of {rows:,} rows ({count.rows / rows:.2%}) break {count.name} "
        f"({item.rule.asks}), {verb}; such as {count.sample[0]}"
    )


def _warnings(findings: Findings, rows: int) -> Iterator[str]:
    warned = [item for item in findings.outcomes if item.rule.only_warns and (item.fault or item.rows)]
    for item in warned[:MAX_REASONS]:
        yield item.fault or _told(item, _counted(item, findings), rows)


def _over_limit(counts: Sequence[RuleCount], bad: int, rows: int, policy: Quarantine) -> Iterator[str]:
    if bad > policy.max_bad_share * rows:
        yield f"{bad:,} of {rows:,} rows are bad ({bad / rows:.2%}); at most {policy.max_bad_share:.2%} may be"
    for count in counts:
        limit = policy.per_rule.get(count.name)
        if limit is not None and count.rows > limit * rows:
            yield f"{count.rows:,} of {rows:,} rows break {count.name}; at most {limit:.2%} may"
