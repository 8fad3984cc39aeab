"""Which files bring the process down that reads them: asked of another process."""

from pathlib import Path

from storage.landed import LandedFile, kind_of
from storage.trial import deadly

POISON = Path(__file__).resolve().parents[1] / "e2e" / "poison"


def landed(name: str, content: bytes | Path) -> LandedFile:
    kind = kind_of(name)[0]
    return LandedFile(
        name=name, path=Path(name), size=0, sha256="", stamp="", kind=kind, content=content, is_private=True
    )


def test_only_what_kills_the_reader_is_named_and_those_behind_it_are_read(tmp_path: Path) -> None:
    """A panic of Polars is an exception of some kind, which the judge hears of."""
    files = [
        landed("text.csv", b"a,b\n1,2\n"),
        landed("aborts.parquet", (POISON / "aborts.parquet").read_bytes()),
        landed("aborts-too\n.parquet", POISON / "aborts.parquet"),
        landed("panics.parquet", POISON / "panics.parquet"),
        landed("none.parquet", b"no parquet"),
    ]
    assert deadly(files, tmp_path) == {"aborts.parquet": "SIGABRT", "aborts-too\n.parquet": "SIGABRT"}


def test_nobody_is_asked_about_no_files(tmp_path: Path) -> None:
    assert deadly([], tmp_path) == {}
