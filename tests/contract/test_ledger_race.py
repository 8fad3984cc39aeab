"""16 promoters at once on PostgreSQL: one wins each round, and all others are told. See ledger_promoter.py."""

import pytest

from tests.contract.ledger_promoter import check, race
from tests.postgres import create_database


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_sixteen_promoters_one_wins_each_of_a_thousand_rounds(postgres: str) -> None:
    url = create_database(postgres)
    check(url, race(url, rounds=1_000), rounds=1_000)
