"""Who comes too late: of 16 promoters at once (ledger_promoter.py) one wins each round; the others are told who."""

import re
from dataclasses import replace

import pytest

from registry.ledger import ChangeKind, Ledger
from tests.contract.ledger_promoter import asked, check, race
from tests.postgres import create_database
from validation.errors import StaleEpochError


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_sixteen_promoters_one_wins_each_of_a_thousand_rounds(postgres: str) -> None:
    url = create_database(postgres)
    check(url, race(url, rounds=1_000), rounds=1_000)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("promotion", "version 2 was promoted over version 1 by ann at"),
        ("forced", "version 2 was promoted by force over version 1 by ann at"),
        ("adoption", "version 2 was adopted over version 1 by ann at"),
        ("rollback", "version 2 was put back over version 1 by ann at"),
    ],
)
def test_who_comes_too_late_is_told_who_was_first_with_what_and_why(
    ledger: Ledger, kind: ChangeKind, told: str
) -> None:
    ledger.crown(asked("1", by="ann"), expected_epoch=0)
    newest = ledger.crown(replace(asked("2", by="ann"), kind=kind, why="y" * 300), expected_epoch=1)
    when = f"{newest.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
    message = (
        f"'flights' is at epoch 2, expected 1: {told} {when} ({'y' * 200}); look at it and decide again: "
        "andon history flights"
    )
    with pytest.raises(StaleEpochError, match=f"^{re.escape(message)}$"):
        ledger.crown(asked("3", by="bob"), expected_epoch=1)


def test_who_expects_a_champion_where_there_is_none_is_told(ledger: Ledger) -> None:
    with pytest.raises(StaleEpochError, match="is at epoch 0, expected 7: the ledger knows of no champion; look at it"):
        ledger.crown(asked("3", by="bob"), expected_epoch=7)
