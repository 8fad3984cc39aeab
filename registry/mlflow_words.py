"""What MLflow is told, in its own words and within its limits. Imports nothing of it."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from registry.store import ABANDONED, TOLD, Learned, Submission

STATUS = f"{TOLD}status"
_NOTE = "mlflow.note.content"
_NAME = "mlflow.runName"
_DESCRIPTION_CHARACTERS = 5_000
_TAG_CHARACTERS = 5_000
_RUN_TAG_CHARACTERS = 8_000
_MORE = " ..."
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


def run_name(submission: Submission) -> str:
    """By which people know the run: how it ended, and for whom it was made."""
    return f"{submission.verdict}: {submission.intent}-{submission.attempt}"


def run_tags(submission: Submission) -> list[tuple[str, str]]:
    """What is told beside a run's numbers; the name as well, since another look may end otherwise."""
    shown = {**submission.tags, **tags(submission), _NOTE: submission.notes, _NAME: run_name(submission)}
    return [(name, cut(value, _RUN_TAG_CHARACTERS)) for name, value in shown.items()]


def description(text: str) -> str:
    """Within the limit of a version's and a registered model's description."""
    return cut(text, _DESCRIPTION_CHARACTERS)


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


def told(tags: Mapping[str, str]) -> dict[str, str]:
    """Those of a version's tags that the ledger stands behind."""
    return {name: value for name, value in tags.items() if name.startswith(TOLD)}


def changes(there: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What to set and what to remove, so that the told tags among `there` become `wanted`."""
    within = {name: cut(value, _TAG_CHARACTERS) for name, value in wanted.items()}
    new = {name: value for name, value in within.items() if there.get(name) != value}
    return new, tuple(name for name in told(there) if name not in within)


def cut(text: str, characters: int) -> str:
    """`text` within its limit; one that was cut ends with three dots."""
    return text if len(text) <= characters else text[: characters - len(_MORE)] + _MORE


def is_left(version: str, tags: Mapping[str, str], judged: Collection[str]) -> bool:
    """Whether a version is a dead attempt's; versions that persons have registered are not ours to judge."""
    return "intent" in tags and version not in judged and tags.get("verdict") != ABANDONED


def newest(versions: Iterable[str], *, among: Collection[str]) -> str | None:
    """The newest version, by number, of those that are `among` the judged ones."""
    return max((version for version in versions if version in among), key=int, default=None)


def left_version(pipeline: str, version: str, tags: Mapping[str, str]) -> str:
    """The sentence about one."""
    return (
        f"version {version} of {pipeline!r} was made by attempt {tags.get('attempt', '?')} of {tags['intent']}, which "
        "died before the ledger knew of it; it is abandoned, and is never promoted"
    )


def left_run(pipeline: str, name: str) -> str:
    """The sentence about a run that says it is running while nobody is."""
    return f"the run {name!r} of {pipeline!r} says that it is running, but its process is dead; it is ended"


def moved_challenger(pipeline: str, version: str, to: str | None) -> str:
    """The sentence about an alias that pointed at an abandoned version."""
    where = f"version {to}" if to else "nothing"
    return f"the alias challenger of {pipeline!r} said version {version}, which is abandoned; it says {where}"
