"""How MLflow is set up before it is imported: quiet, without pickles, and told at once when its database is down."""

import logging
import os
from urllib.parse import urlsplit

from sqlalchemy import create_engine

_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # a dead server is told after seconds, not after minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def quieten() -> None:
    """No telemetry, no emojis, no pickles; what the operator has set stays."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def check_database(uri: str) -> None:
    """Fail at once (DBAPIError) where MLflow would try for 100 s to reach a database server."""
    if urlsplit(uri).scheme.startswith(("postgresql", "mysql")):
        engine = create_engine(uri, connect_args={"connect_timeout": 10})
        try:
            engine.connect().close()
        finally:
            engine.dispose()
