"""May this batch go on? Judges a batch against its Pandera contract; never reads files, never writes any.

First the columns are compared with the contract: missing or of another type, and nothing else is asked. Then every
rule is asked for every row; broken rows are set aside, up to the policy's limits. NaN counts as null. Beside the
contract's rules, every row needs a key (the first row of a key counts) and an event time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

import polars as pl

from validation.errors import DefinitionError
from validation.fields import check_types
from validation.rules import (
    Outcome,
    Rule,
    canary_lives,
    column_faults,
    evaluate,
    in_reach,
    rules_of,
    schema_of,
    with_own,
)
from validation.verdict import Verdict

MAX_SAMPLES = 5  # rows shown for each rule
MAX_REASONS = 20
MAX_VALUE_LENGTH = 60  # characters shown of a cell
MAX_AHEAD = timedelta(days=31)  # how far after the data time a row may lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """How many bad rows a batch may have before all of it is refused.

    `max_bad_share`: share of rows, in [0, 1]; `per_rule`: the same for single rules, by the rule's name
    ("distance.greater_than", "flight_id.unique", "carrier.not_null"; for a dataframe check, its function's name).
    """

    max_bad_share: float = 0.05
    per_rule: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self, part="quarantine")
        for name, share in {"max_bad_share": self.max_bad_share, **self.per_rule}.items():
            if not 0 <= share <= 1:
                raise DefinitionError(f"quarantine.{name} must be a share in [0, 1], got {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """How many rows break a rule, with at most five of them as text."""

    name: str
    rows: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVerdict(Verdict):
    """outcome: "accept", "quarantine" (some rows set aside), "refuse" or "duplicate".

    `rows_quarantined`: rows that go to the quarantine with the names of the rules that they break; of a refused
    batch, too, of which no row is accepted. `rules`: broken rules only, the most broken first.
    """

    kind: ClassVar[str] = "contract"

    rows_in: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    rules: tuple[RuleCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A verdict and its rows. `good`: the contract's columns, in its order, NaN made null; empty when refused.

    `bad`: the batch's own columns and values, and `_row` (0-based position) and `_rules` (names of broken rules).
    """

    verdict: ContractVerdict
    good: pl.DataFrame
    bad: pl.DataFrame


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
    names = sorted(rule.name for rule in with_own(rules_of(schema, schema.columns), key=key, time=time))
    for name in policy.per_rule:
        if name not in names:
            raise DefinitionError(f"quarantine.per_rule names {name!r}, the contract's rules are: {', '.join(names)}")


def judge_batch(  # noqa: PLR0913  # the agreed interface: what to judge, by what, for whom, when
    frame: pl.DataFrame,
    contract: Any,
    *,
    pipeline: str,
    batch: str,
    policy: Quarantine,
    as_of: datetime,
    time: str,
    key: Sequence[str],
    max_age: timedelta | None = None,
    max_ahead: timedelta = MAX_AHEAD,
) -> Judged:
    """Judge one batch. `contract`: a pandera.polars DataFrameModel or DataFrameSchema."""
    schema = schema_of(contract)
    subject = _Subject(pipeline=pipeline, batch=batch, as_of=as_of, frame=frame)
    if faults := column_faults(frame.schema, schema, needed=(*key, time)) or (
        [] if frame.height else ["the batch has no rows"]
    ):
        return _judged(subject, frame.clear(), [], faults=faults, policy=policy)
    known = frame.select(name for name in schema.columns if name in frame.columns).with_columns(
        pl.selectors.float().fill_nan(None)
    )
    asked = rules_of(schema, known.columns)
    rules = with_own(asked, key=key, time=time)
    if faults := _dead_rules(asked, rules, known.schema):
        return _judged(subject, frame.clear(), [], faults=faults, policy=policy)
    reach = evaluate(in_reach(time, as_of=as_of, ahead=max_ahead), known)
    outcomes = [*(evaluate(rule, known) for rule in rules), *([reach] if _breaks(reach) else [])]
    faults = [outcome.fault for outcome in outcomes if outcome.fault and not outcome.rule.only_warns]
    faults += _stale(known[time], reach, as_of=as_of, max_age=max_age)
    good = known.select(_typed(name, column, known.columns) for name, column in schema.columns.items())
    return _judged(subject, good, outcomes, faults=faults, policy=policy)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Subject:
    pipeline: str
    batch: str
    as_of: datetime
    frame: pl.DataFrame


def _dead_rules(asked: Sequence[Rule], rules: Sequence[Rule], schema: pl.Schema) -> list[str]:
    if not asked:
        return ["the contract has no rules, so it proves nothing: add checks to it"]
    if not canary_lives(rules, schema):
        return ["the contract's rules did not run: a canary row of nothing but nulls passed them; report this"]
    return []


def _stale(times: pl.Series, reach: Outcome, *, as_of: datetime, max_age: timedelta | None) -> list[str]:
    newest: Any = (times if reach.broken is None else times.filter(~reach.broken)).max()
    if max_age is None or newest is None or newest >= as_of - max_age:
        return []
    return [f"the newest row is of {newest:%Y-%m-%d %H:%M}, {as_of - newest} old; at most {max_age} is allowed"]


def _typed(name: str, column: Any, present: Sequence[str]) -> pl.Expr:
    """A contract column as it is, or nulls for an optional one that the batch does not have."""
    return pl.col(name) if name in present else pl.lit(None, column.dtype.type if column.dtype else None).alias(name)


def _judged(
    subject: _Subject, good: pl.DataFrame, outcomes: Sequence[Outcome], *, faults: list[str], policy: Quarantine
) -> Judged:
    frame, rows = subject.frame, subject.frame.height
    broken = {o.rule.name: o.broken for o in outcomes if o.broken is not None and not o.rule.only_warns}
    masks = pl.DataFrame(broken) if broken else pl.DataFrame()
    is_bad = masks.select(pl.any_horizontal(pl.all())).to_series() if broken else pl.Series([], dtype=pl.Boolean)
    bad = _set_aside(frame, masks, is_bad)
    counted = sorted((_counted(o, frame) for o in outcomes if _breaks(o)), key=lambda item: -item[0].rows)
    faults = [*faults, *_over_limit([count for count, _ in counted], bad.height, rows, policy)]
    outcome = "refuse" if faults else "quarantine" if bad.height else "accept"
    reasons = [*faults, *(sentence for _, sentence in counted)] or [
        f"all {rows:,} rows keep the contract's {len(outcomes)} rules"
    ]
    good = good.clear() if faults else good.filter(~is_bad) if bad.height else good
    verdict = ContractVerdict(
        pipeline=subject.pipeline,
        subject=subject.batch,
        outcome=outcome,
        reasons=tuple(reasons[:MAX_REASONS]),
        data_time=subject.as_of,
        rows_in=rows,
        rows_accepted=good.height,
        rows_quarantined=bad.height,
        rules=tuple(count for count, _ in counted),
    )
    return Judged(verdict=verdict, good=good, bad=bad)


def _set_aside(frame: pl.DataFrame, masks: pl.DataFrame, is_bad: pl.Series) -> pl.DataFrame:
    """The bad rows with their position and the names of the rules that they break."""
    if not is_bad.any():
        return frame.clear().with_columns(_row=pl.lit(0, pl.Int64), _rules=pl.lit([], pl.List(pl.String)))
    named = [pl.when(pl.col(name)).then(pl.lit(name)) for name in masks.columns]
    rules = masks.filter(is_bad).select(pl.concat_list(named).list.drop_nulls().alias("_rules")).to_series()
    rows = pl.Series("_row", is_bad.arg_true(), dtype=pl.Int64)
    return frame.filter(is_bad).with_columns(rows, rules)


def _breaks(outcome: Outcome) -> bool:
    return outcome.broken is not None and bool(outcome.broken.any())


def _counted(outcome: Outcome, frame: pl.DataFrame) -> tuple[RuleCount, str]:
    """A broken rule's count with samples, and the sentence about it."""
    broken, rule = outcome.broken, outcome.rule
    assert broken is not None, "asked for broken rules only"  # noqa: S101
    first = broken.arg_true().head(MAX_SAMPLES)
    # Moments as text: Python cannot hold all of them.
    cells = frame[first].select(pl.col(rule.columns)).with_columns(pl.selectors.temporal().cast(pl.String))
    shown = cells.rows(named=True) if rule.columns else [{}] * len(first)
    sample = tuple(
        ", ".join([f"row {row}", *(f"{name}={str(value)[:MAX_VALUE_LENGTH]}" for name, value in values.items())])
        for row, values in zip(first, shown, strict=True)
    )
    count = RuleCount(name=rule.name, rows=int(broken.sum()), sample=sample)
    verb = "only warned of" if rule.only_warns else "set aside"
    return count, (
        f"{count.rows:,} of {frame.height:,} rows ({count.rows / frame.height:.2%}) break {rule.name} "
        f"({rule.asks}), {verb}; such as {sample[0]}"
    )


def _over_limit(counts: Iterable[RuleCount], bad: int, rows: int, policy: Quarantine) -> list[str]:
    faults = []
    if bad > policy.max_bad_share * rows:
        faults.append(f"{bad:,} of {rows:,} rows are bad ({bad / rows:.2%}); at most {policy.max_bad_share:.2%} may be")
    for count in counts:
        limit = policy.per_rule.get(count.name)
        if limit is not None and count.rows > limit * rows:
            faults.append(f"{count.rows:,} of {rows:,} rows break {count.name}; at most {limit:.2%} may")
    return faults
