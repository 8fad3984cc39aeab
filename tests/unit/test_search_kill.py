"""A search that is killed goes on without repeating what was done, and finds what it would have found."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path

import psycopg
import pytest

from modelling.recipes import DEFAULT_RECIPES, Number, Recipe
from modelling.spec import Search, Spec
from modelling.tuning.results import Place, SearchResult
from modelling.tuning.search import search
from modelling.tuning.study import forget
from tests.postgres import breakable_server, create_database, postgres_server
from tests.unit.modelling_world import pipeline_in, rides

POLICY = Search(budget_seconds=600, budget_trials=12, rounds=30, threads=1)
KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from tests.unit.test_search_kill import told_until
    told_until(Path(sys.argv[1]), sys.argv[2], calls=int(sys.argv[3]))
""")


def found(spec: Spec, place: Place | None, *, calls: int = 0) -> tuple[SearchResult, list[dict[str, Number]]]:
    """The search, and the parameters of all that were grown in this process and were the best; killed in the midst,
    after so many tellings.
    """
    told, grown = count(1), []

    def progress(_doing: str, _share: float, _best: float | None, _left: float | None) -> None:
        if next(told) == calls:
            os.kill(os.getpid(), signal.SIGKILL)

    def incumbent(recipe: Recipe, _loss: float, _text: Callable[[], str]) -> None:
        grown.append(dict(recipe.params))

    start = DEFAULT_RECIPES["binary"][0]
    result = search(
        spec, rides(), start=start, policy=POLICY, gap="1d", study=place, progress=progress, incumbent=incumbent
    )
    return result, grown


def told_until(folder: Path, where: str, *, calls: int) -> None:
    """What the killed process does."""
    found(pipeline_in(folder).spec, Place(where=where, name="rides"), calls=calls)


def studies(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT study_name FROM studies").fetchall()]


def kill_and_go_on(folder: Path, where: str, *, calls: int) -> None:
    spec, place = pipeline_in(folder).spec, Place(where=where, name="rides")
    whole, grown = found(spec, None)
    killed = subprocess.run([sys.executable, "-c", KILLED, folder, where, str(calls)], check=False)
    assert killed.returncode == -signal.SIGKILL
    result, grown_later = found(spec, place)
    assert (result.recipe, result.trials, result.ended) == (whole.recipe, whole.trials, whole.ended)
    assert len(grown_later) < len(grown)
    again, grown_again = found(spec, place)
    assert (again.recipe, again.trials) == (whole.recipe, whole.trials)
    assert grown_again == []


@pytest.mark.slow
@pytest.mark.parametrize("calls", [8, 13])
def test_a_search_that_is_killed_goes_on_where_it_was(tmp_path: Path, calls: int) -> None:
    kill_and_go_on(tmp_path, str(tmp_path / "studies"), calls=calls)


@pytest.mark.slow
def test_a_killed_search_goes_on_in_postgresql(tmp_path: Path) -> None:
    with postgres_server() as url:
        where = create_database(url)
        kill_and_go_on(tmp_path, where, calls=12)
        found(pipeline_in(tmp_path).spec, Place(where=where, name="rides-2"))
        forget(Place(where=where, name="rides"))
        assert {name.rpartition("-")[0] for name in studies(where)} == {"rides-2"}


@pytest.mark.slow
def test_a_search_whose_database_crashes_meanwhile_finds_the_same_in_memory(tmp_path: Path) -> None:
    spec, whole = pipeline_in(tmp_path).spec, found(pipeline_in(tmp_path).spec, None)[0]
    with breakable_server() as server:
        place, told = Place(where=create_database(server.url), name="rides"), count(1)

        def crash(_doing: str, _share: float, _best: float | None, _left: float | None) -> None:
            if next(told) == 12:
                server.crash()

        start = DEFAULT_RECIPES["binary"][0]
        result = search(spec, rides(), start=start, policy=POLICY, gap="1d", study=place, progress=crash)
    assert (result.recipe, result.trials) == (whole.recipe, whole.trials)
    assert result.ended.startswith(f"{whole.ended}; its trials were kept in memory alone, because their place failed")
