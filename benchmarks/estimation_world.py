"""Worlds whose windows' true performance is known: a model, scores of a reference and of windows after it, all labels.

Ten inputs; the model is LightGBM on 40,000 rows of the reference's world. Windows: "none" like the reference;
"covariate": the most important input's mean moves by up to 1.5 standard deviations; "copula": two inputs become
correlated, each alone stays as it was; "concept": another label follows from the same inputs, which nobody can see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Kind = Literal["classification", "regression"]
Shift = Literal["none", "covariate", "copula", "concept"]
INPUTS = tuple(f"x{number}" for number in range(10))
SHIFTS: tuple[Shift, ...] = ("none", "covariate", "copula", "concept")
METRICS: Mapping[str, tuple[str, ...]] = {"classification": ("auc", "accuracy", "f1"), "regression": ("l1", "l2")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Rows of training, of the reference and of a window."""

    training: int = 40_000
    reference: int = 50_000
    window: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is different in it: the first input's mean, its correlation with the second, and the strength of concept."""

    shift: Shift = "none"
    mean: float = 0.0
    correlation: float = 0.0
    concept: float = 0.0


WINDOWS = (
    *[Window() for _ in range(12)],
    *[Window(shift="covariate", mean=float(mean)) for mean in np.linspace(-1.5, 1.5, 12)],
    *[Window(shift="copula", correlation=value) for value in (-0.6, -0.3, 0.3, 0.6, 0.9)],
    *[Window(shift="concept", concept=value) for value in (0.25, 0.5, 1.0)],
)


def write_world(folder: Path, kind: Kind, *, seed: int, size: Size) -> Path:
    """`reference.parquet` and `windows.parquet` in the new `folder`: inputs, y (the label), p (the prediction)."""
    rng = np.random.default_rng([seed, kind == "regression"])
    training = _inputs(rng, size.training, Window())
    model = _model(kind, training, _labels(rng, kind, training, 0.0))
    folder.mkdir(parents=True)
    _frame(rng, kind, model, Window(), size.reference).write_parquet(folder / "reference.parquet")
    parts = [
        _frame(rng, kind, model, window, size.window).with_columns(window=pl.lit(number))
        for number, window in enumerate(WINDOWS)
    ]
    pl.concat(parts).write_parquet(folder / "windows.parquet")
    return folder


def realised(folder: Path, kind: Kind) -> dict[str, Floats]:
    """By metric: what the windows' labels say, counted row by row."""
    frames = pl.read_parquet(folder / "windows.parquet").partition_by("window", maintain_order=True)
    found = [_measured(kind, frame["y"].to_numpy(), frame["p"].to_numpy()) for frame in frames]
    return {name: np.array([window[name] for window in found]) for name in METRICS[kind]}


def _inputs(rng: np.random.Generator, rows: int, window: Window) -> Floats:
    x = rng.standard_normal((rows, len(INPUTS)))
    x[:, 0] += window.mean
    x[:, 1] = window.correlation * x[:, 0] + np.sqrt(1 - window.correlation**2) * x[:, 1]
    return x


def _labels(rng: np.random.Generator, kind: Kind, x: Floats, concept: float) -> Floats:
    if kind == "classification":
        log_odds = (
            1.2 * x[:, 0] + x[:, 1] * x[:, 2] + 0.7 * np.sin(2 * x[:, 3]) - 0.5 * x[:, 4] ** 2 * (1 - 2 * concept)
        )
        return (rng.random(len(x)) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    mean = 2 * x[:, 0] + x[:, 1] * x[:, 2] + np.sin(3 * x[:, 3]) * (1 + concept)
    return mean + (0.3 + 0.5 * np.abs(x[:, 0])) * rng.standard_normal(len(x))


def _model(kind: Kind, x: Floats, y: Floats) -> Any:
    objective = "binary" if kind == "classification" else "regression"
    params = {"objective": objective, "verbosity": -1, "num_threads": 1, "force_row_wise": True, "seed": 7}
    return lgb.train(params, lgb.Dataset(x, y), num_boost_round=150)


def _frame(rng: np.random.Generator, kind: Kind, model: Any, window: Window, rows: int) -> pl.DataFrame:
    x = _inputs(rng, rows, window)
    return pl.DataFrame(x, schema=list(INPUTS)).with_columns(
        y=_labels(rng, kind, x, window.concept), p=np.asarray(model.predict(x, num_threads=1))
    )


def _measured(kind: Kind, y: Floats, p: Floats) -> dict[str, float]:
    if kind == "regression":
        return {"l1": float(np.abs(y - p).mean()), "l2": float(np.square(y - p).mean())}
    yes, positives = p >= 0.5, y.sum()
    ranks = rankdata(p)[y == 1].sum() - positives * (positives + 1) / 2
    return {
        "auc": float(ranks / (positives * (len(y) - positives))),
        "accuracy": float((yes == (y == 1)).mean()),
        "f1": float(2 * y[yes].sum() / (positives + yes.sum())),
    }
