"""A command line for tests: types `andon ...` in this process, in an installation of its own."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from andon.cli import main
from andon.settings import Settings
from registry.ledger import Ledger
from registry.sql import open_ledger

PIPELINE = """
from tests.unit.definitions import define
PIPELINE = define(name="trips")
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


class Shell:
    """Types `andon ...` in an installation of its own."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *words: str) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = self._capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=out, err=" ".join(err.split()))

    def ledger(self) -> Ledger:
        place = Settings(home=self.home)
        return open_ledger(place.ledger, key=place.seal_key())
