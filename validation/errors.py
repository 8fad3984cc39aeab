"""Errors, sorted by who must act; every message says what is wrong and ends with the remedy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from validation.verdict import Verdict


class AndonError(Exception):
    """Base of all errors that Andon raises on purpose; `exit_code` is what the command line returns for it."""

    exit_code: int = 1


class DefinitionError(AndonError):
    """The data scientist must act: a pipeline's definition is wrong, or there is none of that name."""

    exit_code = 2


class ContractError(AndonError):
    """The data owner must act: data cannot be read or does not keep its contract."""


class RegistryError(AndonError):
    """The operator must act: the ledger or the model registry is not as it should be."""


class NoChampionError(RegistryError):
    """There is no champion yet, or not the version that was asked for."""

    exit_code = 2


class RefusedError(AndonError):
    """A rule said no (pipeline paused, gate verdict missing, ...)."""


class StaleEpochError(RefusedError):
    """Somebody else promoted or rolled back first: the compare-and-set on the epoch lost."""


class LeaseLostError(RefusedError):
    """The lease expired and another holder took it over, so nothing may be written any more."""


class TrainingFailedError(AndonError):
    """The training process crashed, was killed, asked for too much memory or took too long; the message says which."""


class ServiceDownError(AndonError):
    """A service that is needed does not answer; the message names it and how to start it."""

    exit_code = 3


class SomeFailedError(AndonError):
    """Of several pipelines some failed, each of which the message names. `verdicts`: what came of the others."""

    def __init__(self, words: str, verdicts: "Sequence[Verdict]", *, exit_code: int) -> None:
        super().__init__(words)
        self.verdicts, self.exit_code = tuple(verdicts), exit_code
