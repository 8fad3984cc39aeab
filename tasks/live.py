"""What the scorer tells of itself: figures for people's monitoring (/metrics), and how it stands (/version).

A scorer that does not answer, or not in a form that is understood, tells nothing: that is no finding. NOTE: behind
ANDON_SCORER_URL one scorer must answer, with all its workers; figures of several would be mixed up.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tasks.site import Site
from tasks.telling import log
from validation.rollout_rules import TAIL, Live, quantile

_SECONDS = 2.0
_REQUESTS, _BUCKETS = "andon_requests_total", "andon_request_seconds_bucket"
_SHADOW_ROWS, _SHADOW_SECONDS = "andon_shadow_rows_total", "andon_shadow_seconds_total"
_OURS = "5xx"  # 4xx are the callers' mistakes, and no model mends them
_ANSWERED = ("2xx", _OURS)

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """What a version did in the shadow since the scorer started: rows, and seconds for them."""

    scored: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def ms_per_row(self) -> float | None:
        """None when nothing was scored."""
        return self.seconds / self.scored * 1e3 if self.scored else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A pipeline's figures since the scorer started: of each reign by its epoch, of each version in the shadow."""

    reigns: Mapping[int, Live] = field(default_factory=dict)
    shadows: Mapping[str, Silent] = field(default_factory=dict)


def read_figures(site: Site) -> Figures | None:
    """The figures of the pipeline; None when no scorer tells any."""
    answer = _ask(site, "metrics")
    if answer is None or answer.status_code != httpx.codes.OK:
        return None
    try:
        samples = [sample for sample in _samples(answer.text) if sample[1].get("pipeline") == site.name]
        return Figures(reigns=dict(_reigns(_own(site, samples))), shadows=dict(_shadows(samples)))
    except (ValueError, KeyError) as error:  # another program answers there
        log.info("%s: what %s/metrics tells is not understood: %s", site.name, site.settings.scorer_url, error)
        return None


def scorer_status(site: Site) -> str | None:
    """How the scorer stands with the pipeline: "ready", "no champion", "refused: why" or "degraded: why"; None when
    no scorer says it.
    """
    status = (described(site) or {}).get("status")
    return status if isinstance(status, str) else None


def described(site: Site) -> Mapping[str, Any] | None:
    """What the scorer tells of the pipeline (/version); None when none does, or not to who has this token."""
    answer = _ask(site, f"{site.name}/version")
    try:
        told = None if answer is None or answer.status_code == httpx.codes.UNAUTHORIZED else answer.json()
    except ValueError:  # another program answers there
        return None
    return told if isinstance(told, dict) else None


def _ask(site: Site, path: str) -> httpx.Response | None:
    token = site.settings.scorer_token.get_secret_value()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        url = f"{site.settings.scorer_url.rstrip('/')}/{path}"
        return httpx.get(url, headers=headers, timeout=_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        log.debug("%s: no scorer answers at %s: %s", site.name, site.settings.scorer_url, type(error).__name__)
        return None


def _samples(text: str) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _own(site: Site, samples: list[Sample]) -> list[Sample]:
    """Those of no reign but this ledger's: where scorers share an address, another home's may answer."""
    versions = {str(champion.epoch): champion.change.version for champion in site.ledger.champions(site.name)}
    return [
        sample
        for sample in samples
        if sample[0] in (_REQUESTS, _BUCKETS) and versions.get(sample[1]["epoch"]) == sample[1]["version"]
    ]


def _reigns(samples: list[Sample]) -> Iterator[tuple[int, Live]]:
    counts: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    buckets: dict[int, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for name, labels, value in samples:
        if name == _REQUESTS:
            counts[int(labels["epoch"])][labels["status"]] += value
        else:
            buckets[int(labels["epoch"])][float(labels["le"])] += value
    for epoch, by_status in counts.items():
        slow = quantile(sorted(buckets[epoch].items()), TAIL)
        yield (
            epoch,
            Live(
                requests=int(sum(by_status[status] for status in _ANSWERED)),
                failed=int(by_status[_OURS]),
                p95_ms=None if slow is None else slow * 1e3,
            ),
        )


def _shadows(samples: list[Sample]) -> Iterator[tuple[str, Silent]]:
    rows: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, labels, value in samples:
        if name == _SHADOW_ROWS:
            rows[labels["version"]][labels["outcome"]] += value
        elif name == _SHADOW_SECONDS:
            rows[labels["version"]]["seconds"] += value
    for version, told in rows.items():
        yield version, Silent(scored=int(told["scored"]), failed=int(told["failed"]), seconds=told["seconds"])
