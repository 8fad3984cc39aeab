"""`andon contract`: a contract from data on stdout, differences as a table and as JSON, and what cannot be is told."""

import json
from pathlib import Path

import polars as pl
import pytest

from andon.catalogue import load_module
from tests.unit.shell import Shell

ROWS = pl.DataFrame(
    {"trip_id": [f"T{number:03}" for number in range(40)], "distance": [float(number) for number in range(40)]}
)


@pytest.fixture
def landing(andon: Shell) -> Path:
    folder = andon.home / "lake" / "landing" / "rides"
    folder.mkdir(parents=True)
    ROWS.write_parquet(folder / "1.parquet")
    return folder


def test_a_contract_is_printed_or_written_to_a_new_file(andon: Shell, landing: Path, tmp_path: Path) -> None:
    ran = andon("contract", "infer", "landing/rides/*.parquet", "--name", "Rides")
    assert ran.code == 0, ran.err
    assert "class Rides(pa.DataFrameModel):" in ran.out
    file = tmp_path / "rides_contract.py"
    ran = andon("contract", "infer", str(landing / "1.parquet"), "--name", "Rides", "--output", str(file))
    assert f"wrote {file}" in ran.err
    load_module(file).Rides.validate(ROWS)
    again = andon("contract", "infer", str(landing / "1.parquet"), "--output", str(file))
    assert (again.code, "exists; name a new file" in again.err) == (2, True)


def test_csv_is_read_with_the_types_that_its_texts_have(andon: Shell, landing: Path) -> None:
    ROWS.write_csv(landing / "1.csv")
    assert "distance: float = pa.Field(ge=0.0" in andon("contract", "infer", "landing/rides/*.csv").out


def test_a_damaged_or_different_file_is_left_out_and_told(andon: Shell, landing: Path) -> None:
    ROWS.write_parquet(landing / "2.parquet")
    ROWS.cast({"distance": pl.String}).write_parquet(landing / "3.parquet")
    (landing / "4.parquet").write_bytes((landing / "1.parquet").read_bytes()[:-20])
    ran = andon("contract", "infer", "landing/rides/*.parquet")
    assert "as 80 rows say it" in ran.out
    assert "left out: 3.parquet has other columns" in ran.err
    assert "left out: 4.parquet is not a whole Parquet file" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("infer", "landing/nowhere/*.parquet"), 2, "there is no file landing/nowhere"),
        (("infer", "landing/rides/*.parquet", "--name", "my rides"), 2, "--name must be a Python class's name"),
        (("diff", "landing/rides/1.parquet", "trips"), 2, "name the contract first"),
        (("diff", "nobody", "landing/rides/1.parquet"), 2, "there is no pipeline 'nobody'"),
        (("diff", "gone.py:Rides", "trips"), 2, "must be FILE.py:CLASS, with a file that exists"),
    ],
)
def test_what_cannot_be_done_is_told(
    andon: Shell, landing: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert landing.is_dir()
    ran = andon("contract", *arguments)
    assert (ran.code, message in " ".join(ran.err.split())) == (code, True), ran.err


def test_a_contract_and_data_are_compared(andon: Shell, landing: Path) -> None:
    assert landing.is_dir()
    ran = andon("contract", "diff", "trips", "landing/rides/1.parquet", "--json")
    assert ran.code == 1
    found = [(item["column"], item["what"], item["breaking"]) for item in json.loads(ran.out)]
    assert ("started_at", "removed", True) in found
    assert "the data has none" in andon("contract", "diff", "trips", "landing/rides/1.parquet").err


def test_two_contracts_are_compared(andon: Shell, tmp_path: Path) -> None:
    text = "import pandera.polars as pa\nclass {name}(pa.DataFrameModel):\n    distance: float = pa.Field(ge={least})\n"
    for name, least in (("Old", 0), ("New", -1)):
        (tmp_path / f"{name}.py").write_text(text.format(name=name, least=least))
    old, new = f"{tmp_path / 'Old.py'}:Old", f"{tmp_path / 'New.py'}:New"
    assert andon("contract", "diff", old, new).code == 0
    assert andon("contract", "diff", new, old).code == 1
    assert "no difference" in andon("contract", "diff", old, old).err
    missing = andon("contract", "diff", f"{tmp_path / 'Old.py'}:Other", old)
    assert (missing.code, "defines no Other" in missing.err) == (2, True)
