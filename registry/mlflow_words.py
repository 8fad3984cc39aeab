"""What MLflow is told, in its own words and within its limits. Imports nothing of it."""

import json
import re
from typing import Any

from registry.store import Learned, Submission

_DIGEST_CHARACTERS = 36
_SCHEMA_CHARACTERS = 65_535  # what older servers keep
_COLUMN_TYPES = {
    "Boolean": "boolean", "Int8": "integer", "Int16": "integer", "Int32": "integer", "Int64": "long",
    "Float32": "float", "Float64": "double", "Binary": "binary", "Date": "datetime", "Datetime": "datetime",
}  # fmt: skip


def tags(submission: Submission) -> dict[str, str]:
    """By which a version is found again."""
    return {
        "intent": submission.intent,
        "attempt": str(submission.attempt),
        "sha256": submission.bundle_sha256,
        "verdict": submission.verdict,
    }


def key(name: str) -> str:
    """`name` in the characters that MLflow allows in a key (not "=", for one)."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def dataset_words(learned: Learned) -> dict[str, Any]:
    """The fields of MLflow's Dataset; a schema that it cannot keep, of a thousand columns, is left out."""
    columns = [
        {"type": _COLUMN_TYPES.get(dtype.partition("(")[0], "string"), "name": name, "required": True}
        for name, dtype in learned.columns.items()
    ]
    schema = json.dumps({"mlflow_colspec": columns})
    return {
        "name": learned.name,
        "digest": learned.digest[:_DIGEST_CHARACTERS],
        "source_type": "s3" if learned.source.startswith("s3://") else "local",
        "source": json.dumps({"uri": learned.source}),
        "schema": schema if len(schema) <= _SCHEMA_CHARACTERS else None,
        "profile": json.dumps(learned.profile),
    }
