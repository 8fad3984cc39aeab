"""The study: what was tried and what came of it, in Optuna's terms, and where it is kept for a search that is killed.

Kept in memory, in a journal file below a folder, or in PostgreSQL. Never in SQLite, which Optuna's own authors advise
against. One process at a time writes a study.
"""

import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from modelling.recipes import Number
from modelling.tuning.results import Place
from modelling.tuning.space import Space
from validation.errors import DefinitionError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage

_NUMBER, _LOSSES = "number", "losses"
_STARTUP_TRIALS = 6


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial of an earlier process: its parameters (with the learning rate), and the loss after each round."""

    params: Mapping[str, Number]
    losses: tuple[float, ...]


@dataclass(slots=True)
class Book:
    """Proposes parameters and keeps what came of them. Trials are numbered from 0 by the search; a number of which an
    earlier process told the end is in `finished`, and is not tried again.
    """

    study: "Study"
    space: Space
    seed: int
    finished: dict[int, Finished]
    _asked: "dict[int, Trial]" = field(default_factory=dict)

    def close(self) -> None:
        """Give back what keeps it open."""
        storage = getattr(self.study._storage, "_backend", self.study._storage)  # noqa: SLF001 - Optuna has no other way
        if engine := getattr(storage, "engine", None):
            engine.dispose()

    def proposed(self, number: int) -> dict[str, Number]:
        """What TPE wants to be tried next; the same for the same number after the same finished trials."""
        from optuna.samplers import TPESampler

        self.study.sampler = TPESampler(seed=self.seed + number, n_startup_trials=_STARTUP_TRIALS)
        self._asked[number] = self.study.ask(_distributions(self.space))
        return {axis.name: axis.inside(self._asked[number].params[axis.name]) for axis in self.space.axes}

    def tell(self, number: int, params: Mapping[str, Number], losses: Sequence[float], *, value: float) -> None:
        """A trial has ended. `value`: what TPE is told, comparable between trials that cost different amounts."""
        if number in self.finished:
            return
        told = {_NUMBER: number, "params": dict(params), _LOSSES: [float(loss) for loss in losses]}
        asked = self._asked.pop(number, None)
        if asked is None:
            self._add(params, value, told)
            return
        for name, held in told.items():
            asked.set_user_attr(name, held)
        self.study.tell(asked, value)

    def _add(self, params: Mapping[str, Number], value: float, told: Mapping[str, Any]) -> None:
        """A trial of parameters that TPE did not propose."""
        from optuna.trial import create_trial

        inside = self.space.inside(params)
        self.study.add_trial(
            create_trial(
                params={axis.name: inside[axis.name] for axis in self.space.axes},
                distributions=_distributions(self.space),
                value=value,
                user_attrs=dict(told),
            )
        )


def open_book(place: Place | None, space: Space, *, seed: int, about: str) -> Book:
    """The study of that place, begun or gone on with. `about`: a digest of all that decides what a search finds; what
    was tried under another one is not gone on with. DefinitionError for a place that no study is kept in.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None if place is None else _storage(place)
    name = None if place is None else f"{place.name}-{about}"
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
    finished: dict[int, Finished] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and _NUMBER in trial.user_attrs:
            told = trial.user_attrs
            finished[told[_NUMBER]] = Finished(told["params"], tuple(told[_LOSSES]))
        elif not trial.state.is_finished():  # its process was killed
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return Book(study=study, space=space, seed=seed, finished=finished)


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        axis.name: FloatDistribution(float(axis.low), float(axis.high), log=axis.log)
        if axis.kind is float
        else IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        for axis in space.axes
    }


def _storage(place: Place) -> "BaseStorage":
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if place.where.startswith(("postgresql://", "postgresql+psycopg://")):
        return RDBStorage(place.where.replace("postgresql://", "postgresql+psycopg://", 1))
    if "://" in place.where:
        raise DefinitionError("a study is kept below a folder or in PostgreSQL; give a path or a postgresql:// URL")
    folder = Path(place.where)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(place.name, safe='')}.journal"
    _mended(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=cast("Any", _Lock(path))))


def _mended(path: Path) -> None:
    """Cut off a last line that was never ended: its process was killed while it wrote."""
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with path.open("r+b") as file:
            file.truncate(len(whole))


class _Lock:
    """A lock that the kernel takes back from a killed process; Optuna's own would be waited for 30 s."""

    def __init__(self, path: Path) -> None:
        self._path, self._held = path.with_suffix(".lock"), -1

    def acquire(self) -> bool:
        self._held = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._held)
