"""The data that benchmarks read: made once into a folder, by a process of its own, and used again when it is there."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_CHUNK = 1 << 24


def orders(folder: Path, *, rows: int, numbers: Iterable[int]) -> list[Path]:
    """Files of `rows` orders each; the truth about each lies beside it."""
    paths = [folder / "orders" / f"{rows}-{number}.parquet" for number in numbers]
    for path in paths:
        if not path.exists():
            _, _, number = path.stem.partition("-")
            subprocess.run([sys.executable, "-m", "benchmarks.orders", path, str(rows), number], check=True)
    return paths


def many_orders(folder: Path, *, files: int) -> list[Path]:
    """Small files of 100 to 1,000 orders each."""
    place = folder / "many" / str(files)
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "benchmarks.orders", place, "many", str(files)], check=True)
        (place / "ready").touch()
    return sorted(place.glob("*.parquet"))


def truth(paths: Sequence[Path]) -> dict[str, Any]:
    """What is broken in these files: rows, bad rows, and the count of each rule that is broken at all."""
    found = [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in paths]
    counts = sum((Counter(each["counts"]) for each in found), Counter[str]())
    return {"rows": sum(each["rows"] for each in found), "bad_rows": counts.total(), "counts": dict(counts)}


def warm(paths: Iterable[Path]) -> None:
    """Read the files once, so that no run is the one that waits for the disk."""
    for path in paths:
        with path.open("rb") as file:
            while file.read(_CHUNK):
                pass


def real_files(folder: Path) -> list[Path]:
    """Weeks of flights and weather as all writers write them: WRITER/KIND/WEEK.SUFFIX."""
    place = folder / "real"
    if not (place / "ready").exists():
        subprocess.run([sys.executable, "-m", "benchmarks.victims", place], check=True)
    return sorted(path for path in place.glob("*/*/*") if path.is_file())
