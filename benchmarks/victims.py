"""Real weeks of flights and weather, written as those who send files write them: whole files to be damaged.

python -m benchmarks.victims FOLDER
"""

import gzip
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corruption import Victim
from demo.data import prepare_flights

_FIRST, _WEEKS = 5, 2

Write = Callable[[pl.DataFrame, Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A tool and its settings."""

    name: str
    suffix: str
    write: Write


def _polars(**options: object) -> Write:
    return lambda frame, path: frame.write_parquet(path, **options)  # type: ignore[arg-type]


def _pyarrow(**options: object) -> Write:
    def write(frame: pl.DataFrame, path: Path) -> None:
        pq.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), path, **options)

    return write


def _zstd_csv(frame: pl.DataFrame, path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as out:
        out.write(frame.write_csv().encode())


WRITERS = (
    Writer(name="polars", suffix=".parquet", write=_polars()),
    Writer(name="polars-small-row-groups", suffix=".parquet", write=_polars(row_group_size=500, compression="snappy")),
    Writer(name="polars-uncompressed", suffix=".parquet", write=_polars(compression="uncompressed")),
    Writer(name="pyarrow", suffix=".parquet", write=_pyarrow()),
    Writer(name="pyarrow-v2-pages", suffix=".parquet", write=_pyarrow(data_page_version="2.0", compression="zstd")),
    Writer(name="pyarrow-plain", suffix=".parquet", write=_pyarrow(use_dictionary=False, compression="none")),
    Writer(
        name="pyarrow-checksums",
        suffix=".parquet",
        write=_pyarrow(write_page_checksum=True),
    ),
    Writer(
        name="pyarrow-checksums-small-pages",
        suffix=".parquet",
        write=_pyarrow(write_page_checksum=True, compression="zstd", row_group_size=1_000, data_page_size=4_000),
    ),
    Writer(name="csv", suffix=".csv", write=lambda frame, path: frame.write_csv(path)),
    Writer(
        name="csv-gzip",
        suffix=".csv.gz",
        write=lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode(), mtime=0)),
    ),
    Writer(name="csv-zstd", suffix=".csv.zst", write=_zstd_csv),
)


def write_all(folder: Path) -> None:
    """The same weeks by all writers: WRITER/KIND/WEEK.SUFFIX."""
    with tempfile.TemporaryDirectory() as scratch:
        weeks = prepare_flights(Path(scratch)).weeks[_FIRST : _FIRST + _WEEKS]
        for week in weeks:
            for kind, file in {"flights": week.batch, **week.tables}.items():
                for writer in WRITERS:
                    path = folder / writer.name / kind / f"{week.label}{writer.suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    writer.write(pl.read_parquet(file), path)
    (folder / "ready").touch()


def victim(path: Path) -> Victim:
    """The file's bytes, and where damage to its structure would have to fall."""
    data = path.read_bytes()
    if path.suffix != ".parquet":
        return Victim(data=data, footer=max(0, len(data) - 16), pages=(0,))
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    metadata = pq.ParquetFile(path).metadata
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    starts = [start for chunk in chunks for start in (chunk.dictionary_page_offset, chunk.data_page_offset) if start]
    return Victim(data=data, footer=footer, pages=tuple(starts))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
