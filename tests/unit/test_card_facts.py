"""What a card is made of: metrics and slices of the evidence's rows, from models that were really fitted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelling.baselines import CONSTANT, LINEAR, baseline_predictions
from modelling.jobs import Learned
from modelling.metrics import row_losses
from modelling.model import Model
from modelling.spec import Task
from modelling.splits import days, split
from modelling.training import fit
from tasks import card_words as words
from tasks.card_facts import Behind, evidence_metrics, slices
from tasks.challengers import Challenger
from tasks.champions import Incumbent
from tasks.evidence import Answers, Compared
from tests.unit.modelling_world import FAST, pipeline_in, rides
from validation import gate
from validation.deeds import Trained
from validation.gate import Evidence, Gate, GateVerdict, Guards

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
NOT_TOLD = Trained(
    pipeline="rides", subject="intent", outcome="trained", reasons=("searched",), data_time=AS_OF, snapshot="s", rows=9,
    searched=False, recipe={},
)  # fmt: skip


def answers(model: Model, rows: pl.DataFrame) -> Answers:
    prediction = model.predict(rows)
    loss = row_losses(model.spec.task, model.spec.metric, model.labels(rows), prediction)
    return Answers(prediction=prediction, loss=loss)


def behind(folder: Path, *, task: Task = "binary") -> Behind:
    """A challenger of 1,664 rides and an older champion, both asked about the last week."""
    spec, frame = pipeline_in(folder, task=task).spec, rides()
    if task == "multiclass":
        frame = frame.with_columns(late=pl.col("stop"))
    frame = frame.with_columns(stop=pl.when(pl.col("ride") % 7 > 0).then("stop"))
    parts = split(frame, time=spec.time, holdout="7d", gap=timedelta(), train="all")
    model = fit(spec, parts.train, FAST, seed=1, threads=1)
    rows = parts.holdout
    base = answers(fit(spec, parts.train.head(300), FAST, seed=1, threads=1), rows)
    predictions = baseline_predictions(spec, parts.train, rows, classes=model.classes)
    compared = Compared(
        rows=rows, labels=model.labels(rows), challenger=answers(model, rows), baseline_loss=base.loss, champion=base,
        unable="", evidence="holdout",
    )  # fmt: skip
    challenger = Challenger(
        proven=model,
        split=parts,
        incumbent=Incumbent(version="3", trained_until=parts.trained_until, bundle=None, unable=""),
        trained=NOT_TOLD,
        learned=Learned(model=model, baselines=predictions),
    )
    return Behind(challenger=challenger, compared=compared, model=model)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Behind:
    return behind(tmp_path_factory.mktemp("rides"))


@pytest.fixture(scope="module")
def verdict(made: Behind) -> GateVerdict:
    compared = made.compared
    assert compared.champion is not None
    return gate.judge(
        Evidence(
            champion_loss=compared.champion.loss,
            challenger_loss=compared.challenger.loss,
            blocks=days(compared.rows["at"]),
            slices={"stop": compared.rows["stop"].to_list()},
            champion_version="3",
        ),
        Guards(load_ok=True, latency_ms=1.0, size_mb=0.1, coverage=1.0, min_coverage=0.5),
        policy=Gate(min_slice_rows=10),
        pipeline="rides",
        subject="intent",
        as_of=AS_OF,
    )


def test_metrics_are_those_of_the_same_rows(made: Behind) -> None:
    found = evidence_metrics(made)
    assert set(found) == {"challenger", "champion", LINEAR, CONSTANT}
    assert made.compared.champion is not None
    assert found["challenger"]["logloss"] == pytest.approx(made.compared.challenger.loss.mean())
    assert found["champion"]["logloss"] == pytest.approx(made.compared.champion.loss.mean())
    assert found[CONSTANT]["auc"] == 0.5
    assert found["challenger"]["auc"] > 0.6


def test_without_a_linear_model_the_constant_is_there_all_the_same(made: Behind) -> None:
    kept = replace(made, challenger=replace(made.challenger, learned=None, again=True))
    assert evidence_metrics(kept)[CONSTANT] == evidence_metrics(made)[CONSTANT]
    assert LINEAR not in evidence_metrics(kept)
    elsewhere = replace(made, compared=replace(made.compared, evidence="prequential"))
    assert set(evidence_metrics(elsewhere)) == {"challenger", "champion"}, "baselines know the holdout's rows alone"


def test_a_candidate_of_an_earlier_look_may_be_refitted_too(made: Behind) -> None:
    """The trees that were judged have not seen the evidence, those that are registered have: the card says which."""
    again = replace(made, challenger=replace(made.challenger, again=True))
    assert (made.is_refit, again.is_refit) == (False, False)
    other = replace(again, model=replace(made.model, recipe=replace(FAST, rounds=20)))
    assert other.is_refit


def test_a_champion_of_other_classes_has_no_metrics(tmp_path: Path) -> None:
    """Its probabilities stand in another order."""
    made = behind(tmp_path, task="multiclass")
    assert set(evidence_metrics(made)) == {"challenger", LINEAR, CONSTANT}


def test_the_losses_of_all_slices_are_those_of_all_rows(made: Behind, verdict: GateVerdict) -> None:
    """Null is a slice, too; the gain is what the gate has counted."""
    found = {item.name: item for item in slices(verdict, made.compared, task="binary")}
    assert set(found) == {"stop = north", "stop = south", "stop = west", "stop = None"}
    rows = np.array([item.rows for item in found.values()])
    assert rows.sum() == made.compared.rows.height
    assert np.average([item.loss for item in found.values()], weights=rows) == pytest.approx(
        made.compared.challenger.loss.mean()
    )
    for item in found.values():
        assert item.champion_loss is not None
        assert item.champion_loss - item.loss == pytest.approx(item.gain)
    bias = np.average([item.bias or 0.0 for item in found.values()], weights=rows)
    assert bias == pytest.approx((made.compared.labels - made.compared.challenger.prediction).mean())
    alone = slices(verdict, replace(made.compared, champion=None), task="multiclass")
    assert all((item.champion_loss, item.bias) == (None, None) for item in alone)


@pytest.mark.parametrize(
    ("changes", "tone", "what"),
    [
        ({"outcome": "promote", "gain_share": 0.034}, "quiet", "It saves 3.4% of the loss of version 3 on"),
        ({"outcome": "reject", "gain_share": -0.02}, "alarm", "It loses another 2.0% of the loss of version 3"),
        ({"outcome": "reject", "gain_share": 0.01, "min_gain": 0.02}, "alarm", "later rows: that is not enough."),
        (
            {"outcome": "reject", "gain_share": 0.511, "min_gain": 0.02, "reasons": ("it takes 90 ms a row", "a gain")},
            "alarm",
            "later rows, but it takes 90 ms a row.",
        ),
        ({"outcome": "expired", "gain_share": 0.0}, "notice", "neither proven nor refuted"),
        (
            {"outcome": "promote", "gain_share": 0.1, "champion_is": "base rate", "by": "auc"},
            "quiet",
            "1 - AUC of the base",
        ),
        ({"outcome": "need evidence", "gain_share": 0.3, "champion_is": "unable"}, "notice", "of the loss of the base"),
        ({"outcome": "need evidence", "gain_share": None, "reasons": ("too few rows",)}, "notice", "Too few rows."),
    ],
)
def test_the_headline_says_what_was_found(
    verdict: GateVerdict, changes: dict[str, object], tone: str, what: str
) -> None:
    told = words.headline(replace(verdict, **changes), refitted=True, until=AS_OF)  # type: ignore[arg-type]
    assert (told.tone, told.since) == (tone, changes["outcome"])
    assert what in told.what
    assert "no later row has judged yet" in told.doing
    assert words.headline(verdict, refitted=False, until=AS_OF).doing == "Registered is the model that was judged."
