"""How far off will a regression's predictions be? Two small models of the error, of the inputs and the prediction.

Direct loss estimation: a table of the prediction alone does not do (research/drift.md, 4: four times the error under
covariate shift), since rows with the same prediction err differently. It holds as long as errors of like rows go on
being alike: concept drift it cannot see. Source of the idea: NannyML's DLE.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modelling.encoding import Encoding, fit_encoding
from modelling.engine import Engine
from validation.watch.estimates import MIN_WINDOWS, Estimate, interval, spread_of

METHOD = "expected from a model of the errors"
PREDICTION = "prediction"  # its column among the inputs; no feature may have this name
# Bins as fine as this because a shift moves rows into what was a tail: of 63, 255 and 511 the mean absolute error of
# the estimate was 1.4, 1.05 and 0.93 of NannyML's (100 trees of 31 leaves at 255, twice the cost, were no better).
ROUNDS = 30
PARAMS: Mapping[str, float | int] = {
    "learning_rate": 0.3,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "max_bin": 511,
}
MAX_ROWS = 200_000  # of more, equally spaced ones are taken

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossModel:
    """`absolute` and `squared`: LightGBM's texts for |label - prediction| and its square.

    `excess`: variance of a squared error over the square of what was expected of it. `spread`: by metric, the variance
    between windows of (estimate - realised value) / estimate that the rows' own chance does not explain, as seen in
    `windows` reference windows, estimated by models that did not know them. `usual`: by metric, the mean of what was
    estimated for the reference's rows.
    """

    encoding: Encoding
    absolute: str
    squared: str
    excess: float
    usual: Mapping[str, float]
    spread: Mapping[str, float]
    windows: int

    def estimate(self, inputs: pl.DataFrame, predictions: Array, *, metric: str) -> Estimate | None:
        """What to expect of a window with these rows; `metric`: "l1" or "l2", the pipeline's. None without rows."""
        if not len(predictions):
            return None
        matrix = self.encoding.encode(_with_prediction(inputs, predictions))
        values = _values(_expected((self.absolute, self.squared), matrix), self.excess)
        intervals = {
            name: interval(value, noise=noise, spread=self.spread.get(name, 0.0) * value**2, windows=self.windows)
            for name, (value, noise) in values.items()
        }
        bounds = {name: (max(lower, 0.0), upper) for name, (lower, upper) in intervals.items()}
        return Estimate(
            method=METHOD,
            rows=len(predictions),
            loss=values[metric][0],
            lower=bounds[metric][0],
            upper=bounds[metric][1],
            metrics={name: value for name, (value, _) in values.items()},
            intervals=bounds,
            usual=self.usual[metric],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Errors:
    """Expected |error| and error squared, row by row."""

    absolute: Array
    squared: Array


def loss_model(inputs: pl.DataFrame, predictions: Array, labels: Array, windows: NDArray[np.int64]) -> LossModel | None:
    """The model of these rows: predictions for rows that the champion had not seen, and the number of their window.

    Every second window is kept apart to see how far estimates are off. None when these are fewer than MIN_WINDOWS.
    """
    kept = np.arange(0, len(labels), -(-len(labels) // MAX_ROWS) or 1)
    present, window = np.unique(windows[kept], return_inverse=True)
    apart = window % 2 == 1
    if len(present) // 2 < MIN_WINDOWS:
        return None
    frame, error = _with_prediction(inputs, predictions)[kept], np.abs(labels - predictions)[kept]
    encoding = fit_encoding(frame)
    matrix = encoding.encode(frame)
    seen = _expected(_fit(matrix[~apart], error[~apart], encoding), matrix[apart])
    excess = max(float(np.mean(error[apart] ** 4) / max(np.mean(seen.squared**2), 1e-300)) - 1, 0.0)
    absolute, squared = _fit(matrix, error, encoding)
    return LossModel(
        encoding=encoding,
        absolute=absolute,
        squared=squared,
        excess=excess,
        usual={name: value for name, (value, _) in _values(seen, excess).items()},
        spread=spread_of(_relative_errors(seen, error[apart], window[apart], excess)),
        windows=len(present) // 2,
    )


def _fit(matrix: Array, error: Array, encoding: Encoding) -> tuple[str, ...]:
    from modelling.boosting.growing import fit_values  # loads lightgbm, which estimates do without

    return fit_values(matrix, (error, np.square(error)), params=PARAMS, categorical=encoding.categorical, rounds=ROUNDS)


def _with_prediction(inputs: pl.DataFrame, predictions: Array) -> pl.DataFrame:
    return inputs.with_columns(pl.Series(PREDICTION, predictions, dtype=pl.Float64))


def _expected(texts: tuple[str, ...], matrix: Array) -> _Errors:
    """Never negative, and a mean square no smaller than the square of the mean."""
    absolute, squared = (Engine.from_text(text).predict(matrix) for text in texts)
    absolute = np.maximum(absolute, 0.0)
    return _Errors(absolute=absolute, squared=np.maximum(squared, np.square(absolute)))


def _values(errors: _Errors, excess: float) -> dict[str, tuple[float, float]]:
    """By metric: its expected value in a window of these rows, and its variance by their own chance."""
    rows = len(errors.absolute)
    return {
        "l1": (float(errors.absolute.mean()), float((errors.squared - errors.absolute**2).sum()) / rows**2),
        "l2": (float(errors.squared.mean()), excess * float((errors.squared**2).sum()) / rows**2),
    }


def _relative_errors(
    errors: _Errors, came: Array, window: NDArray[np.int64], excess: float
) -> list[dict[str, tuple[float, float]]]:
    """Of each window: by metric, (estimate - realised value) / estimate, and the variance of that by chance."""
    found = []
    for number in np.unique(window):
        own = window == number
        values = _values(_Errors(absolute=errors.absolute[own], squared=errors.squared[own]), excess)
        realised = {"l1": float(came[own].mean()), "l2": float(np.square(came[own]).mean())}
        found.append(
            {
                name: ((value - realised[name]) / value, noise / value**2)
                for name, (value, noise) in values.items()
                if value > 0
            }
        )
    return found
