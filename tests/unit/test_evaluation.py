"""A model's worth on rows that it has not seen, beside baselines and another model; shown as text and as HTML."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from andon.notebook import Standing
from andon.pipeline import Pipeline
from modelling import bundle
from modelling.baselines import baselines
from modelling.evaluation import Evaluation
from modelling.metrics import row_losses
from modelling.model import Model
from modelling.recipes import Recipe
from modelling.splits import split
from modelling.training import fit
from tests.unit.modelling_world import FAST, START, pipeline_in, rides
from validation.errors import ContractError, DefinitionError, RefusedError
from validation.gate import Gate

ROWS = rides()  # 2,000, one each half hour: 41 days and 16 hours
POOR = replace(FAST, rounds=2)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    made = pipeline_in(tmp_path_factory.mktemp("rides"))
    return replace(made, gate=Gate(slices=("stop",), min_slice_rows=50, alpha=0.2), search=made.search)


@pytest.fixture(scope="module")
def model(pipeline: Pipeline) -> Model:
    return pipeline.fit(ROWS, recipe=FAST, search="never")


def fitted(pipeline: Pipeline, rows: pl.DataFrame, recipe: Recipe) -> Model:
    return fit(pipeline.spec, rows, recipe, seed=pipeline.search.seed, threads=pipeline.search.threads)


def test_fit_leaves_the_newest_rows_out_as_the_flow_does(pipeline: Pipeline, model: Model) -> None:
    parts = split(ROWS, time="at", holdout="7d", gap="1d", train="all")
    assert model.text == fitted(pipeline, parts.train, FAST).text
    assert model.trained_until == parts.trained_until
    assert pipeline.fit(ROWS.sample(fraction=1, shuffle=True, seed=3), recipe=FAST, search="never").text == model.text


def test_judged_are_the_rows_that_the_model_has_not_seen(pipeline: Pipeline, model: Model) -> None:
    found = pipeline.evaluate(model, ROWS)
    judged = ROWS.filter(pl.col("at") >= model.trained_until + timedelta(days=1))
    assert (found.rows, found.left_out) == (judged.height, ROWS.height - judged.height)
    assert (found.since, found.until) == (judged["at"].min(), judged["at"].max())
    loss = row_losses("binary", "logloss", model.labels(judged), model.predict(judged)).mean()
    assert found.loss == found.losses["model"] == found.metrics["model"]["logloss"] == pytest.approx(loss, abs=1e-12)
    assert pipeline.evaluate(model, judged).losses["model"] == found.loss


def test_the_baselines_are_made_of_the_models_own_rows(pipeline: Pipeline, model: Model) -> None:
    found = pipeline.evaluate(model, ROWS)
    train = ROWS.filter(pl.col("at") < model.trained_until)
    judged = ROWS.filter(pl.col("at") >= found.since)
    wanted = {name: losses.mean() for name, losses in baselines(pipeline.spec, train, judged).items()}
    assert {name: found.losses[name] for name in ("constant", "linear")} == pytest.approx(wanted)
    assert found.loss < found.losses["constant"]
    assert list(pipeline.evaluate(model, judged).losses) == ["model"]


def test_without_another_model_the_gate_compares_with_the_base_rate(pipeline: Pipeline, model: Model) -> None:
    verdict = pipeline.evaluate(model, ROWS).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.champion_is, verdict.blocks) == ("promote", "base rate", 7)
    judged = ROWS.filter(pl.col("at") >= model.trained_until + timedelta(days=1))
    assert pipeline.evaluate(model, judged).verdict is None


def test_another_model_is_asked_the_same_rows_and_has_seen_none_of_them(pipeline: Pipeline, model: Model) -> None:
    later = ROWS.filter(pl.col("at") < START + timedelta(days=37))
    other = fitted(pipeline, later, POOR)
    found = pipeline.evaluate(model, ROWS, against=other)
    assert found.since >= other.trained_until > model.trained_until
    judged = ROWS.filter(pl.col("at") >= found.since)
    assert found.losses["against"] == pytest.approx(
        row_losses("binary", "logloss", other.labels(judged), other.predict(judged)).mean()
    )
    assert found.verdict is not None
    assert found.verdict.champion_is == "champion"
    assert found.verdict.gain == pytest.approx(found.losses["against"] - found.loss)
    same = pipeline.evaluate(model, ROWS, against=model)
    assert same.verdict is not None
    assert (same.verdict.gain, same.verdict.outcome) == (0.0, "reject")


def test_slices_hold_all_rows_and_their_losses_make_the_whole(pipeline: Pipeline, model: Model) -> None:
    found = pipeline.evaluate(model, ROWS, against=model)
    assert sorted(item.value for item in found.slices) == ["north", "south", "west"]
    assert sum(item.rows for item in found.slices) == found.rows
    assert np.average([item.loss for item in found.slices], weights=[item.rows for item in found.slices]) == (
        pytest.approx(found.loss)
    )
    assert [item.loss for item in found.slices] == [item.against_loss for item in found.slices]


def test_a_gate_by_auc_is_asked_for_the_auc(pipeline: Pipeline, model: Model) -> None:
    ranked = replace(pipeline, gate=Gate(by="auc"))
    found = ranked.evaluate(model, ROWS)
    assert found.verdict is not None
    assert found.verdict.challenger_loss == pytest.approx(1 - found.metrics["model"]["auc"])
    assert found.verdict.champion_loss == pytest.approx(0.5)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_every_task_is_evaluated(task: str, tmp_path: Path) -> None:
    made = pipeline_in(tmp_path, task=task)
    noise = pl.Series(np.random.default_rng(2).normal(size=ROWS.height))
    target = pl.col("wind") + noise
    late = target.round(0).clip(8, 12).cast(pl.Int64) if task == "multiclass" else target
    rows = ROWS.with_columns(late=late)
    found = made.evaluate(made.fit(rows, recipe=FAST, search="never"), rows)
    assert list(found.metrics) == ["model", "constant", "linear"]
    assert found.loss < found.losses["constant"]


def test_rows_that_were_seen_are_refused_with_the_remedy(pipeline: Pipeline, model: Model) -> None:
    with pytest.raises(ContractError, match=r"no row is from .* give later rows, or fit on earlier ones"):
        pipeline.evaluate(model, ROWS.filter(pl.col("at") < model.trained_until))


def test_fit_refuses_what_the_flow_would_not_train(pipeline: Pipeline) -> None:
    with pytest.raises(ContractError, match="no mature row is left to train on"):
        pipeline.fit(ROWS.tail(5))
    with pytest.raises(RefusedError, match=r"input 'wind' alone tells the target .* Training\(trusted=\('wind',\)\)"):
        pipeline.fit(ROWS.with_columns(late=pl.col("wind") > 10))
    looking = replace(pipeline, features=lambda rides: rides.select("ride", gust=pl.col("wind").shift(-1)))
    with pytest.raises(RefusedError, match="input 'gust' is made of other rows than its own, also of later ones"):
        looking.fit(ROWS)
    with pytest.raises(DefinitionError, match="search must be one of never, if needed, always, got True"):
        pipeline.fit(ROWS, search=True)  # type: ignore[arg-type]


def test_a_challenger_starts_from_the_champions_recipe_and_is_judged_after_its_rows(
    pipeline: Pipeline, model: Model, tmp_path: Path
) -> None:
    poor = fitted(pipeline, ROWS.head(1_900), POOR)
    bundle.write(
        tmp_path / "champion",
        model=poor,
        pipeline=pipeline.name,
        definition=pipeline.module_source,
        definition_hash=pipeline.fingerprint,
        snapshot="",
        rows=ROWS.head(5),
        profile_json="{}",
    )
    champion = Standing(bundle=bundle.load(tmp_path / "champion"))
    challenger = pipeline.fit(ROWS, champion=champion, search="never")
    assert challenger.recipe.params == POOR.params
    assert challenger.trained_until <= champion.bundle.manifest.trained_until - timedelta(days=1)
    assert (
        pipeline.evaluate(model, ROWS, against=champion).losses == pipeline.evaluate(model, ROWS, against=poor).losses
    )


def test_an_evaluation_is_shown_as_text(pipeline: Pipeline, model: Model) -> None:
    text = repr(pipeline.evaluate(model, ROWS, against=model))
    headline, metrics, slices, said = text.split("\n\n")
    assert headline.startswith("rides: logloss 0.")
    assert "; left out 1,6" in headline
    assert metrics.splitlines()[0].split() == ["model", "against", "constant", "linear", "better"]
    assert metrics.splitlines()[1].startswith("log loss *")
    assert [line.split()[:3] for line in slices.splitlines()[1:]] != []
    assert all(line.endswith("+0.00%") for line in slices.splitlines()[1:])
    assert said.startswith("By these rows alone the gate would say: reject; the challenger's loss is 0.")


def test_what_comes_from_data_is_escaped_in_a_notebook(pipeline: Pipeline) -> None:
    nasty = ROWS.with_columns(stop=pl.col("stop").replace("north", "<script>alert('&')</script>"))
    html = pipeline.evaluate(fitted(pipeline, nasty.head(1_500), FAST), nasty)._repr_html_()
    assert "<script>" not in html
    assert "stop = &lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in html
    assert html.count("<table>") == html.count("</table>") == 2
    assert "<td>log loss *</td>" in html


def test_many_slices_are_cut_and_the_rest_is_counted(pipeline: Pipeline, model: Model) -> None:
    many = replace(pipeline, gate=Gate(slices=("ride",), min_slice_rows=1))
    found = many.evaluate(model, ROWS.tail(50))
    assert isinstance(found, Evaluation)
    assert "and 30 smaller ones" in repr(found)
