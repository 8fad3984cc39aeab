"""What MLflow raises, in our words. Knows its errors by their code, so that it imports nothing of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError

from validation.errors import NoChampionError, RegistryError, ServiceDownError

_DOWN = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED"}
_MISSING = "RESOURCE_DOES_NOT_EXIST"


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """ServiceDownError or RegistryError, without the password, for whatever MLflow at `uri` raises."""
    parts = urlsplit(uri)
    secret = f"{parts.username}:{parts.password}@" if parts.password else ""
    place = uri.replace(secret, "") if secret else uri
    try:
        yield
    except Exception as error:
        if not (_code(error) or isinstance(error, DBAPIError | OSError)):
            raise
        cause = (str(error).replace(secret, "") if secret else str(error)).split("\n")[0][:300]
        shown = None if secret else error
        if _code(error) and not is_down(error):
            raise RegistryError(f"MLflow at {place} refused: {cause}; look at it in MLflow's UI") from shown
        raise ServiceDownError(
            f"MLflow at {place} does not answer: {cause}; start it, or correct ANDON_MLFLOW_URI"
        ) from shown


def is_down(error: Exception) -> bool:
    """Whether the error says that the server cannot answer now, rather than that it does not want to."""
    return _code(error) in _DOWN


def gone(error: Exception) -> bool:
    """Whether the error may say that a file is not there: MLflow's, or the disk's own."""
    return bool(_code(error)) or isinstance(error, FileNotFoundError)


def existing_is_fine() -> AbstractContextManager[None]:
    """Somebody else has made it."""
    return _swallow("RESOURCE_ALREADY_EXISTS")


def missing_is_fine() -> AbstractContextManager[None]:
    """There is none, and that is an answer."""
    return _swallow(_MISSING)


def deleted_is_fine() -> AbstractContextManager[None]:
    """A run that somebody has deleted, in MLflow's bin or for good."""
    return _swallow(_MISSING, "INVALID_PARAMETER_VALUE")


@contextmanager
def missing_is_no_champion(pipeline: str, version: str) -> Iterator[None]:
    """NoChampionError for an unknown version, and for what cannot be one."""
    try:
        yield
    except Exception as error:
        if _code(error) not in (_MISSING, "INVALID_PARAMETER_VALUE"):
            raise
        raise NoChampionError(
            f"{pipeline!r} has no version {version} in MLflow; see which there are: andon history {pipeline}"
        ) from error


@contextmanager
def _swallow(*codes: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if _code(error) not in codes:
            raise


def _code(error: Exception) -> str:
    """MLflow's name of the error; "" for an error that is not MLflow's."""
    return getattr(error, "error_code", "") if type(error).__module__.startswith("mlflow") else ""
