"""Settings come from the environment alone; everything has a place below home."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from andon import DefinitionError
from andon.settings import Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ANDON_{name}".upper(), raising=False)


def test_one_variable_moves_a_whole_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANDON_HOME", str(tmp_path))
    settings = Settings()
    assert settings.ledger == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.mlflow == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.models == tmp_path / "models"
    assert settings.lake_root == str(tmp_path / "lake")


def test_places_can_be_named_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANDON_LEDGER_URL", "postgresql+psycopg://andon@db/andon")
    monkeypatch.setenv("ANDON_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("ANDON_PIPELINES", f"{tmp_path}/mine:{tmp_path}/yours")
    monkeypatch.setenv("ANDON_LEASE_SECONDS", "5")
    settings = Settings()
    assert settings.ledger == "postgresql+psycopg://andon@db/andon"
    assert settings.lake_root == str(tmp_path / "lake")
    assert settings.pipeline_folders == (tmp_path / "mine", tmp_path / "yours")
    assert settings.lease_ttl == timedelta(seconds=5)


def test_predictions_go_to_a_database_below_home_or_to_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANDON_HOME", str(tmp_path))
    assert Settings().delivery.get_secret_value() == f"sqlite:///{tmp_path}/delivery.db"
    monkeypatch.setenv("ANDON_DELIVERY_DATABASE", "postgresql://andon:T0PS3CRET@db/scores")
    assert Settings().delivery.get_secret_value() == "postgresql://andon:T0PS3CRET@db/scores"
    assert "T0PS3CRET" not in repr(Settings())


def test_relative_places_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().lake_root == str(tmp_path / ".andon" / "lake")
    assert Settings().ledger == f"sqlite:///{tmp_path}/.andon/ledger.db"


def test_pipelines_are_looked_for_in_the_project_by_default() -> None:
    (folder,) = Settings().pipeline_folders
    assert folder.name == "pipelines"
    assert folder.is_dir()


def test_a_lake_in_a_bucket_keeps_its_address_and_a_local_folder_for_the_prediction_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANDON_HOME", str(tmp_path))
    assert Settings().local_data is None
    monkeypatch.setenv("ANDON_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("ANDON_S3_ENDPOINT", "http://127.0.0.1:9000")
    monkeypatch.setenv("ANDON_S3_REGION", "eu-central-1")
    monkeypatch.setenv("ANDON_REMOTE_SECONDS", "5")
    settings = Settings()
    assert (settings.lake_root, settings.local_data) == ("s3://bucket/lake", tmp_path / "local")
    assert (settings.s3_endpoint, settings.s3_region) == ("http://127.0.0.1:9000", "eu-central-1")
    assert settings.remote_seconds == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_URI", "mlflow.db"),
        ("SCORER_URL", "scorer:8080"),
        ("LAKE", "gs://bucket/lake"),
        ("S3_ENDPOINT", "127.0.0.1:9000"),
        ("PUBLIC_URL", "andon.example.org"),
    ],
)
def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ANDON_{name}", value)
    with pytest.raises(DefinitionError, match=f"ANDON_{name} must be"):
        Settings()


def test_a_lease_needs_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_LEASE_SECONDS", "0")
    with pytest.raises(ValidationError, match="greater than 0"):
        Settings()


def test_every_variable_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_alerts_go_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().webhooks, Settings().blocks, Settings().silence) == ((), (), timedelta(hours=2))
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", "https://hooks.example.org/a?b=c, http://127.0.0.1:80/x ,")
    monkeypatch.setenv("ANDON_ALERT_BLOCKS", "slack-webhook/ops,custom-webhook/on-call")
    settings = Settings()
    told = [url.get_secret_value() for url in settings.webhooks]
    assert told == ["https://hooks.example.org/a?b=c", "http://127.0.0.1:80/x"]
    assert settings.blocks == ("slack-webhook/ops", "custom-webhook/on-call")


@pytest.mark.parametrize("value", ["hooks.example.org/T0PS3CRET", "https://", "https:///T0PS3CRET", "ftp://T0PS3CRET"])
def test_a_webhook_that_is_no_address_is_told_without_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", f"https://hooks.example.org/good,{value}")
    with pytest.raises(DefinitionError, match=r"ANDON_ALERT_WEBHOOKS must be.*number 2 is none") as wrong:
        Settings()
    assert "T0PS3CRET" not in str(wrong.value)


@pytest.mark.parametrize("value", ["ops", "slack-webhook/", "Slack Webhook/ops", "https://hooks.example.org/x"])
def test_a_block_that_is_no_slug_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ANDON_ALERT_BLOCKS", value)
    with pytest.raises(DefinitionError, match="ANDON_ALERT_BLOCKS must be a kind and a name"):
        Settings()


def test_the_settings_never_show_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", "https://hooks.example.org/T0PS3CRET")
    settings = Settings()
    assert "T0PS3CRET" not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.webhooks!r}"
