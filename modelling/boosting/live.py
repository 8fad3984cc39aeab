"""A booster that is alive: it grows tree by tree, rests while others grow, and is thawed again. Decides nothing."""

from collections.abc import Mapping
from typing import Any

import lightgbm as lgb

from modelling.boosting.dataset import Dataset


class Live:
    """Trees on binned rows that many boosters share, judged on the validation rows after each. Not thread-safe."""

    def __init__(self, params: Mapping[str, Any], train: Dataset, validation: Dataset) -> None:
        """`params` with those that `train` was binned with; `validation` was binned by `train`'s reference."""
        self._booster = lgb.Booster(dict(params), train)
        self._booster.add_valid(validation, "validation")
        self.ended = False

    def grow(self) -> float:
        """The loss on the validation rows after one tree more (of each class); `ended` when no split is left."""
        self.ended = bool(self._booster.update())
        return float(self._booster.eval_valid()[0][2])

    def train_loss(self) -> float:
        """The loss on the rows that the trees were grown on, as they are now."""
        return float(self._booster.eval_train()[0][2])

    def text(self, *, rounds: int) -> str:
        """LightGBM's text of the first `rounds` trees (of each class)."""
        return str(self._booster.model_to_string(num_iteration=rounds))


def thinned(rows: Dataset, positions: list[int], params: Mapping[str, Any]) -> Dataset:
    """Some of the binned rows, at ascending `positions`, in the same bins."""
    return rows.subset(positions, params=dict(params)).construct()
