"""A level is the same level wherever its model is asked: before and after the bundle, in a batch, over REST."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from andon.catalogue import load as load_pipeline
from modelling import bundle
from modelling.batches import predictions_of
from modelling.training import Model, fit
from serving.loading import ready
from tests.unit.modelling_world import DEFINITION, FAST, rides
from tests.unit.serving_world import ListLog, asking, champion, slots

# Levels out of order, rare ones, and nulls; what is asked later begins with others, and knows some more.
STOPS = ["west", "north", None, "south", "rare", "été"]
ASKED = ["été", None, "south", "unseen", "north", "west", "rare", "", "NORTH"]
SHIFT = {"été": 0, "north": 2, "south": 4, "west": 6}  # of the wind from which rides are late; others: 9
FEATURES = {
    "as they are": 'rides.select("ride", "stop", "wind")',  # which REST answers without a frame
    "by a frame": 'rides.select("ride", "stop", wind=pl.col("wind") + 0.0)',
    "numbered batch by batch": 'rides.select("ride", "wind", stop=pl.col("stop").cast(pl.Categorical()))',
}


def some(stops: Sequence[str | None], count: int) -> pl.DataFrame:
    return rides(count).with_columns(stop=pl.Series([stops[row % len(stops)] for row in range(count)]))


@pytest.fixture(params=FEATURES)
def known(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Model, bundle.Bundle]:
    """A model of five levels, "rare" not among them, and the same model out of its bundle."""
    start, end = DEFINITION.index("    return "), DEFINITION.index("\n\n\nPIPELINE")
    source = f"{DEFINITION[:start]}    return {FEATURES[request.param]}{DEFINITION[end:]}".replace("TASK", "binary")
    (tmp_path / "rides.py").write_text(source)
    rows = some(STOPS, 3_000).filter((pl.col("stop") != "rare").fill_null(value=True) | (pl.col("ride") < 60))
    late = pl.col("wind") + pl.col("stop").replace_strict(SHIFT, default=9) > 14
    model = fit(load_pipeline(tmp_path / "rides.py").spec, rows.with_columns(late=late), FAST, seed=7, threads=1)
    bundle.write(
        tmp_path / "bundle",
        model=model,
        pipeline="rides",
        definition=source,
        definition_hash="h",
        snapshot="s",
        rows=rows,
        profile_json="{}",
    )
    return model, bundle.load(tmp_path / "bundle")


def over_rest(loaded: bundle.Bundle, rows: pl.DataFrame) -> list[float]:
    """What a scorer answers that is asked for all rows, and for each of them."""
    plain = [
        {name: str(value) if name in ("at", "day") else value for name, value in row.items()}
        for row in rows.select(*loaded.raw_schema).to_dicts()
    ]

    async def asked(client: Any) -> list[float]:
        answers: list[float] = []
        for records in (plain, *([row] for row in plain)):
            answer = await client.ask("POST", "/invocations", msgspec.json.encode({"dataframe_records": records}))
            assert answer.status == 200, answer.body
            answers += msgspec.json.decode(answer.body)["predictions"]
        return answers

    with asking(slots(ready(loaded, champion(pipeline="rides"), ListLog()))) as client:
        return asyncio.run(asked(client))


def test_a_level_is_the_same_in_bundle_batch_and_rest(known: tuple[Model, bundle.Bundle]) -> None:
    model, loaded = known
    rows = some(ASKED, 45).with_columns(wind=6.0 + 2 * (pl.int_range(45) // 9))
    wanted = model.predict(rows)
    (stop,) = [column for column in model.encoding.columns if column.name == "stop"]
    assert stop.levels == ("north", "south", "west", "été")
    assert all(len(set(wanted[start : start + 9])) >= 4 for start in range(0, 36, 9)), "levels must matter here"
    np.testing.assert_array_equal(loaded.predict(rows), wanted)
    levels = [level for level in ASKED if level is not None]
    kinds = (pl.String(), pl.Categorical(), pl.Enum(levels), pl.Enum(sorted(levels)))
    partitions = [rows[start : start + 7].cast({"stop": kinds[start % 4]}) for start in range(0, 45, 7)]
    scored = np.concatenate([found for _, found in predictions_of(loaded, partitions)])
    np.testing.assert_array_equal(scored, wanted)
    np.testing.assert_allclose(over_rest(loaded, rows), [*wanted, *wanted], rtol=0, atol=1e-12)


def test_null_rare_and_unseen_levels_are_one_to_the_model(known: tuple[Model, bundle.Bundle]) -> None:
    _, loaded = known
    row = rides(1).with_columns(wind=7.0)
    same = pl.concat([row.with_columns(stop=pl.lit(stop, dtype=pl.String)) for stop in (None, "rare", "unseen", "")])
    assert len(set(over_rest(loaded, same))) == 1
    assert len(set(loaded.predict(same))) == 1
    assert loaded.predict(same)[0] != loaded.predict(row.with_columns(stop=pl.lit("north")))[0]
