"""The SQL that PostgreSQL and SQLite share. Names are quoted; values are numbered, never written into the text."""

from collections.abc import Mapping, Sequence

from storage.publishing.columns import quoted

RUNS = "andon_runs"
# What readers may know of each run: `table_name` is where it went.
RUN_COLUMNS = {
    "table_name": "text NOT NULL",
    "run_id": "text NOT NULL",
    "pipeline": "text NOT NULL",
    "partition": "text NOT NULL",
    "sequence": "bigint NOT NULL",
    "rows": "bigint NOT NULL",
    "model_versions": "text NOT NULL",
    "published_at": "{moment} NOT NULL DEFAULT CURRENT_TIMESTAMP",
}


def listed(names: Sequence[str]) -> str:
    """Column names, for a list of them."""
    return ", ".join(quoted(name) for name in names)


def create_runs(moment: str) -> str:
    """The ledger of runs; `moment`: the type of a point in time."""
    columns = ", ".join(f"{quoted(name)} {kind.format(moment=moment)}" for name, kind in RUN_COLUMNS.items())
    return f'CREATE TABLE IF NOT EXISTS {RUNS} ({columns}, PRIMARY KEY ("table_name", "run_id"))'


def create_table(table: str, types: Mapping[str, str]) -> str:
    """The table of predictions, typed."""
    return f"CREATE TABLE {quoted(table)} ({', '.join(f'{quoted(name)} {kind}' for name, kind in types.items())})"


def add_column(table: str, name: str, kind: str) -> str:
    """A column that older rows have no value of."""
    return f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(name)} {kind}"


def latest(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    """The newest row of each key of a pipeline: what a view of the current predictions selects."""
    wanted = listed(columns)
    within = listed(["pipeline", *(name for name in key if name != "pipeline")])
    order = '"scored_at" DESC, "sequence" DESC, "epoch" DESC, "prediction_id" DESC'
    numbered = f"row_number() OVER (PARTITION BY {within} ORDER BY {order}) AS andon_place"
    return f"SELECT {wanted} FROM (SELECT *, {numbered} FROM {quoted(table)}) AS numbered WHERE andon_place = 1"  # noqa: S608


FIND_RUN = f'SELECT "rows" FROM {RUNS} WHERE "table_name" = $1 AND "run_id" = $2'  # noqa: S608
NEWEST_RUN = f'SELECT max("sequence") FROM {RUNS} WHERE "table_name" = $1 AND "pipeline" = $2 AND "partition" = $3'  # noqa: S608
NOTE_RUN = (
    f'INSERT INTO {RUNS} ("table_name", "run_id", "pipeline", "partition", "sequence", "rows", "model_versions") '  # noqa: S608
    "VALUES ($1, $2, $3, $4, $5, $6, $7)"
)


def remove_partition(table: str) -> str:
    """The rows of a pipeline ($1) and partition ($2)."""
    return f'DELETE FROM {quoted(table)} WHERE "pipeline" = $1 AND "partition" = $2'  # noqa: S608
