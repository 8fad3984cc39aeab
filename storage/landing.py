"""What has arrived, and what is in it. Reads only; never moves, changes or deletes a landed file."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from validation.errors import ContractError

_IGNORED_PREFIXES = (".", "_")
_IGNORED_SUFFIXES = (".tmp", ".part")
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedFile:
    """A file as it arrived. `name`: its path below the glob's fixed part; `sha256` of its `size` bytes."""

    path: Path
    name: str
    size: int
    sha256: str


def arrived(root: Path, glob: str) -> tuple[LandedFile, ...]:
    """The files below `root` that match `glob`, by name.

    Names that start with "." or "_", or end in .tmp or .part, are uploads in progress and not yet there.
    """
    base = root.joinpath(*_fixed_part(glob))
    found = (_landed(path, path.relative_to(base).as_posix()) for path in root.glob(glob) if _is_complete(path, base))
    return tuple(sorted((file for file in found if file is not None), key=lambda file: file.name))


def read(file: LandedFile, *, schema: Mapping[str, pl.DataType] | None = None) -> pl.DataFrame:
    """The rows of a Parquet or CSV file; ContractError when it cannot be read, or is no longer what arrived.

    CSV is text: its columns take the types of `schema` where all their values can, and stay text where not, for the
    contract to name them. Rows are parsed from the very bytes whose digest was checked.
    """
    place = shown(str(file.path))
    try:
        data = file.path.read_bytes()
    except OSError as cause:
        raise ContractError(f"{place} cannot be read: {cause.strerror}; let it land again") from cause
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ContractError(f"{place} arrived again while it was read; it will be taken next time")
    if not data:
        raise ContractError(f"{place} is empty (0 bytes); upload it again")
    try:
        return _parse(data, file.path.suffix, schema or {})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as cause:
        reason = str(cause).partition("\n")[0][:200]
        raise ContractError(
            f"{place} is not a whole {file.path.suffix} file ({file.size} bytes): {reason}; upload it again"
        ) from cause


def missing(root: Path, glob: str, *, name: str, sha256: str) -> LandedFile:
    """A file that was there, and is no more: reading it says so."""
    return LandedFile(path=root.joinpath(*_fixed_part(glob), name), name=name, size=0, sha256=sha256)


def shown(name: str) -> str:
    """A file name as text that can be printed and stored: what is no UTF-8, and control characters, as backslashes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _fixed_part(glob: str) -> tuple[str, ...]:
    parts = PurePosixPath(glob).parts
    wild = next((at for at, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts) - 1)
    return parts[:wild]


def _is_complete(path: Path, base: Path) -> bool:
    hidden = any(part.startswith(_IGNORED_PREFIXES) for part in path.relative_to(base).parts)
    return path.is_file() and not hidden and path.suffix not in _IGNORED_SUFFIXES


def _landed(path: Path, name: str) -> LandedFile | None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return LandedFile(path=path, name=shown(name), size=file.tell(), sha256=digest)
    except FileNotFoundError:  # taken away between listing and reading
        return None


def _parse(data: bytes, suffix: str, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    if suffix == ".parquet":
        return pl.read_parquet(io.BytesIO(data))
    if suffix == ".csv":
        data.decode("utf-8")  # Polars would replace what it cannot decode
        text = pl.read_csv(io.BytesIO(data), infer_schema=False)
        return text.with_columns(_typed(text[name], schema[name]) for name in text.columns if name in schema)
    raise ValueError(f"only .parquet and .csv are read, not {suffix or 'files without a suffix'}")


def _typed(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        if isinstance(dtype, pl.Datetime):
            return text.str.to_datetime(time_unit=dtype.time_unit, time_zone=dtype.time_zone)
        if dtype == pl.Boolean:
            return text.str.to_lowercase().replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
        return text.cast(dtype)
    except (pl.exceptions.PolarsError, ValueError):
        return text
