"""Columns of made-up histories: each maker draws a column's nature once, and gives its values batch by batch.

What is hard about clean data: seasons, trends, random walks, heavy tails, rare events, ranges with an end, codes that
change once in a while, shares of nulls and categories that differ from batch to batch, weekends.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

Rng = np.random.Generator
Values = Callable[[int, int], Any]  # number of the batch, rows -> values

BATCHES = 60


def seasonal(rng: Rng) -> Values:
    """A temperature: a year of 52 batches, and weather that lasts."""
    weather, phase = _persistent(rng, 0.6) * 5, rng.uniform(0, 6.28)
    levels = 50 + 25 * np.sin(2 * np.pi * np.arange(BATCHES) / 52 + phase) + weather
    return lambda batch, rows: levels[batch] + rng.normal(0, 8, rows)


def walking(rng: Rng) -> Values:
    """A price: its level walks at random."""
    levels = 100 + np.cumsum(rng.normal(0, 3, BATCHES))
    return lambda batch, rows: levels[batch] + rng.normal(0, 6, rows)


def growing(rng: Rng) -> Values:
    """Sales: a trend of some percent a batch, and a lognormal spread."""
    levels = 200 * np.exp(rng.uniform(-0.02, 0.03) * np.arange(BATCHES) + rng.normal(0, 0.05, BATCHES))
    return lambda batch, rows: levels[batch] * rng.lognormal(0, 0.6, rows)


def heavy(rng: Rng) -> Values:
    """Amounts with heavy tails whose scale differs from batch to batch."""
    scales, sigma = rng.lognormal(3, 0.3, BATCHES), rng.uniform(1, 2)
    return lambda batch, rows: scales[batch] * rng.lognormal(0, sigma, rows)


def pareto(rng: Rng) -> Values:
    """Claims without a finite variance."""
    return lambda batch, rows: 100 * (1 + rng.pareto(1.5, rows))  # noqa: ARG005


def rare(rng: Rng) -> Values:
    """Rain: mostly zero, and how often it is not differs."""
    shares = rng.beta(1, 5, BATCHES)
    return lambda batch, rows: np.where(rng.random(rows) < shares[batch], rng.gamma(0.7, 0.3, rows).round(2), 0.0)


def capped(rng: Rng) -> Values:
    """Visibility: the end of the range is the most frequent value."""
    typical = rng.lognormal(2.7, 0.3, BATCHES)
    return lambda batch, rows: np.minimum(10.0, (typical[batch] * rng.lognormal(0, 0.6, rows)).round(1))


def weekly(rng: Rng) -> Values:
    """Traffic of days: two of seven are quiet."""
    noise = rng.lognormal(0, 0.1, BATCHES)
    return lambda batch, rows: rng.poisson(noise[batch] * (40 if batch % 7 > 4 else 120), rows)


def code(rng: Rng) -> Values:
    """A quarter of the year as a number: one value for a long time."""
    first = int(rng.integers(0, 13))
    return lambda batch, rows: np.full(rows, (batch + first) // 13 % 4 + 1)


def counts(rng: Rng) -> Values:
    """Passengers: small whole numbers."""
    means = rng.gamma(20, 0.1, BATCHES)
    return lambda batch, rows: rng.poisson(means[batch], rows)


def gappy(rng: Rng) -> Values:
    """A sensor with a share of nulls that differs from batch to batch."""
    shares, levels = rng.beta(1, 15, BATCHES), 1013 + _persistent(rng, 0.5) * 6

    def values(batch: int, rows: int) -> pl.Series:
        missing = pl.Series(rng.random(rows) < shares[batch])
        return pl.Series(levels[batch] + rng.normal(0, 4, rows)).set(missing, None)

    return values


def levels(rng: Rng) -> Values:
    """A carrier: some shares, never quite the same, and now and then a new one."""
    names = np.array([f"{first}{second}" for first in "ABCDEFG" for second in "WXYZ"])
    base = rng.dirichlet(np.full(len(names), 0.5))

    def values(batch: int, rows: int) -> Any:
        shares = rng.dirichlet(base * 300 + 1e-3) * (np.arange(len(names)) < 20 + batch // 8)
        return names[rng.choice(len(names), rows, p=shares / shares.sum())]

    return values


def identifier(rng: Rng) -> Values:
    """A number on a plane's tail: letters and digits."""
    return lambda batch, rows: [f"N{number}" for number in rng.integers(100, 99_999, rows)]  # noqa: ARG005


def flag(rng: Rng) -> Values:
    """True or false, with a share that differs."""
    shares = rng.beta(20, 60, BATCHES)
    return lambda batch, rows: rng.random(rows) < shares[batch]


def _persistent(rng: Rng, correlation: float) -> Any:
    """A stationary series with this correlation from one batch to the next, of variance 1."""
    found = [rng.normal()]
    for step in rng.normal(0, np.sqrt(1 - correlation**2), BATCHES - 1):
        found.append(correlation * found[-1] + step)
    return np.array(found)


MAKERS = (
    seasonal, walking, growing, heavy, pareto, rare, capped, weekly, code, counts, gappy, levels, identifier, flag,
)  # fmt: skip
