"""Takes in one possibly damaged file after the other, told by lines of JSON on stdin, answered on stdout.

Three answers for each: what the on-ramp makes of it; what pandera's eager validation says; whether the pages' checksums
tell that it is damaged, by pyarrow's word. By a missing answer whoever asks sees in which of them the process died.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.taking import Kind, Taken, kinds, take

_MAX_BYTES = 16 * 2**30  # NOTE: a damaged file may name any size, and the machine has other users
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_BYTES, _MAX_BYTES))
    known = kinds()
    for line in sys.stdin:
        job = json.loads(line)
        kind, path = known[job["kind"]], Path(job["path"])
        with tempfile.TemporaryDirectory() as work:
            taken = take(kind, path, Path(work), tries=job.get("tries", 1))
            _tell({"outcome": taken.outcome, "digest": taken.digest, "reason": taken.reason})
            _tell({"pandera": _pandera(kind, path, taken)})
        _tell({"checksums": _checksums(path)})


def _tell(answer: dict[str, str]) -> None:
    print(json.dumps(answer), flush=True)


def _pandera(kind: Kind, path: Path, taken: Taken) -> str:
    """Of the taken rows; and of the whole file where all of it was taken, and pandera's reader can read it."""
    if taken.good is None:
        return "not asked"
    said = _validated(kind, taken.good)
    if said == "refuses" or taken.outcome != "accept" or path.suffix != ".parquet":
        return said
    try:
        whole = pl.read_parquet(path)
    except _UNREADABLE:
        return "cannot read"
    return _validated(kind, whole.with_columns(pl.selectors.float().fill_nan(None)))  # NaN is null for the on-ramp


def _validated(kind: Kind, rows: pl.DataFrame) -> str:
    from pandera.errors import SchemaErrors

    try:
        kind.schema.validate(rows, lazy=True)
    except SchemaErrors:
        return "refuses"
    return "passes"


def _checksums(path: Path) -> str:
    import pyarrow.parquet as pq

    if path.suffix != ".parquet":
        return "none"
    try:
        pq.read_table(path, page_checksum_verification=True)
    except (OSError, ValueError, NotImplementedError) as error:
        return "tell" if "CRC" in str(error) else "cannot read"
    return "silent"


if __name__ == "__main__":
    main()
