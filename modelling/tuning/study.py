"""The study: what was tried and what came of it, in Optuna's terms, and where it is kept for a search that is killed.

Kept in memory, in a journal file below a folder, or in PostgreSQL. Never in SQLite, which Optuna's own authors advise
against. One process at a time writes a study. One whose place fails goes on in memory: a study is a convenience.
"""

import fcntl
import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from modelling.recipes import Number
from modelling.tuning.results import Place
from modelling.tuning.space import Space
from validation.errors import AndonError, DefinitionError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.trial import FrozenTrial

Result = TypeVar("Result")

_NUMBER, _LOSSES = "number", "losses"
_STARTUP_TRIALS = 6
_ABOUT = "[0-9a-f]{16}"  # what a digest looks like in a study's name
_DATABASES = ("postgresql://", "postgresql+psycopg://")
# A database that falls silent does not hold up a search for long: seconds, and milliseconds.
_PATIENCE = {"connect_timeout": 10, "tcp_user_timeout": 30_000}


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial of an earlier process: its parameters (with the learning rate), and the loss after each round."""

    params: Mapping[str, Number]
    losses: tuple[float, ...]


@dataclass(slots=True)
class Book:
    """Proposes parameters and keeps what came of them. Trials are numbered from 0 by the search; a number of which an
    earlier process told the end is in `finished`, and is not tried again. `past`: the finished ones, as Optuna
    knows them. `trouble`: why nothing is kept any more.
    """

    study: "Study"
    space: Space
    seed: int
    finished: dict[int, Finished]
    trouble: str = ""
    past: "list[FrozenTrial]" = field(default_factory=list)
    _asked: "dict[int, Trial]" = field(default_factory=dict)

    def close(self) -> None:
        """Give back what keeps it open."""
        storage = getattr(self.study._storage, "_backend", self.study._storage)  # noqa: SLF001 - Optuna has no other way
        _let_go(storage)

    def proposed(self, number: int) -> dict[str, Number]:
        """What TPE wants to be tried next; the same for the same number after the same finished trials."""
        return self._kept(lambda: self._proposed(number))

    def tell(self, number: int, params: Mapping[str, Number], losses: Sequence[float], *, value: float) -> None:
        """A trial has ended. `value`: what TPE is told, comparable between trials that cost different amounts."""
        if number in self.finished:
            return
        told = {_NUMBER: number, "params": dict(params), _LOSSES: [float(loss) for loss in losses]}
        trial = self._trial(params, value, told)
        self._kept(lambda: self._tell(number, trial))
        self.past.append(trial)

    def _kept(self, call: Callable[[], Result]) -> Result:
        """What `call` returns; where the study's place fails, it and all that follows is done in memory."""
        try:
            return call()
        except Exception as error:
            if self.trouble:
                raise
            self.close()
            self.trouble, self.study = _trouble(error), _in_memory()
            self._asked.clear()
            self.study.add_trials(self.past)
            return call()

    def _proposed(self, number: int) -> dict[str, Number]:
        from optuna.samplers import TPESampler

        self.study.sampler = TPESampler(seed=self.seed + number, n_startup_trials=_STARTUP_TRIALS)
        self._asked[number] = self.study.ask(_distributions(self.space))
        return {axis.name: axis.inside(self._asked[number].params[axis.name]) for axis in self.space.axes}

    def _tell(self, number: int, trial: "FrozenTrial") -> None:
        asked = self._asked.pop(number, None)
        if asked is None:  # TPE did not propose it
            self.study.add_trial(trial)
            return
        for name, held in trial.user_attrs.items():
            asked.set_user_attr(name, held)
        self.study.tell(asked, trial.value)

    def _trial(self, params: Mapping[str, Number], value: float, told: Mapping[str, Any]) -> "FrozenTrial":
        from optuna.trial import create_trial

        inside = self.space.inside(params)
        return create_trial(
            params={axis.name: inside[axis.name] for axis in self.space.axes},
            distributions=_distributions(self.space),
            value=value,
            user_attrs=dict(told),
        )


def open_book(place: Place | None, space: Space, *, seed: int, about: str) -> Book:
    """The study of that place, begun or gone on with. `about`: a digest of all that decides what a search finds; what
    was tried under another one is not gone on with. DefinitionError for a place that no study is kept in; where the
    place fails, `Book.trouble` says so, and the study is in memory.
    """
    if place is None:
        return Book(study=_in_memory(), space=space, seed=seed, finished={})
    storage = None
    try:
        storage = _storage(place)
        return _opened(storage, f"{place.name}-{about}", space, seed=seed)
    except AndonError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a database's driver raises
        _let_go(storage)
        return Book(study=_in_memory(), space=space, seed=seed, finished={}, trouble=_trouble(error))


def forget(place: Place) -> None:
    """Take the place's study away, whatever it is about: nothing will go on with it. Raises what a database's driver
    raises.
    """
    if not place.where.startswith(_DATABASES):
        for file in Path(place.where).glob(f"{glob.escape(quote(place.name, safe=''))}.*"):
            file.unlink(missing_ok=True)
        return
    import optuna

    storage = _database(place)
    try:
        for name in optuna.get_all_study_names(storage):
            if re.fullmatch(f"{re.escape(place.name)}-{_ABOUT}", name):
                optuna.delete_study(study_name=name, storage=storage)
    finally:
        _let_go(storage)


def _opened(storage: "BaseStorage", name: str, space: Space, *, seed: int) -> Book:
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
    past: list[FrozenTrial] = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.COMPLETE:
            past.append(trial)
        elif not trial.state.is_finished():  # its process was killed
            study.tell(trial.number, state=TrialState.FAIL)
    told = [trial.user_attrs for trial in past]
    finished = {each[_NUMBER]: Finished(each["params"], tuple(each[_LOSSES])) for each in told}
    return Book(study=study, space=space, seed=seed, finished=finished, past=past)


def _in_memory() -> "Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study()


def _trouble(error: Exception) -> str:
    """NOTE: the error's own words may hold a password."""
    return (
        f"its trials were kept in memory alone, because their place failed ({type(error).__name__}): had it been "
        "killed, it would have begun anew; see to the study's database (ANDON_STUDY_URL) or folder"
    )


def _let_go(storage: object) -> None:
    if engine := getattr(storage, "engine", None):
        engine.dispose()


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        axis.name: FloatDistribution(float(axis.low), float(axis.high), log=axis.log)
        if axis.kind is float
        else IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        for axis in space.axes
    }


def _storage(place: Place) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if place.where.startswith(_DATABASES):
        return _database(place)
    if "://" in place.where:
        raise DefinitionError("a study is kept below a folder or in PostgreSQL; give a path or a postgresql:// URL")
    folder = Path(place.where)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{quote(place.name, safe='')}.journal"
    _mended(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=cast("Any", _Lock(path))))


def _database(place: Place) -> "RDBStorage":
    from optuna.storages import RDBStorage

    url = place.where.replace("postgresql://", "postgresql+psycopg://", 1)
    return RDBStorage(url, engine_kwargs={"connect_args": _PATIENCE})


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
