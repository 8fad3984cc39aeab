"""Where things are: read once from the environment (`ANDON_*`). What a model is, and when it runs, stand elsewhere."""

import os
import re
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from validation.errors import DefinitionError

_MLFLOW = ("http://", "https://", "sqlite:", "postgresql", "mysql", "mssql")
_KEY_LENGTH = 16
_WEBHOOK = re.compile(r"https?://[^/\s?#]+([/?]\S*)?")
_SLUG = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")
_PROJECT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Places and addresses. All of them default to below `home`: one variable moves a whole installation."""

    model_config = SettingsConfigDict(env_prefix="ANDON_", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".andon"), description="folder of the embedded databases and models")
    lake: str = Field(default="", description="folder or s3://bucket/prefix below which landing, curated, scores lie")
    s3_endpoint: str = Field(default="", description="http address of an S3 store that is not AWS")
    s3_region: str = Field(default="", description="region of the S3 store; the one of the environment when empty")
    remote_seconds: float = Field(default=60.0, gt=0, description="one call to a remote store takes at most this long")
    settle_seconds: float = Field(
        default=60.0, ge=0, description="a file that looks unfinished waits until it has not changed for so long"
    )
    ledger_url: str = Field(default="", description="SQLAlchemy URL; sqlite below home when empty")
    ledger_key: SecretStr = Field(
        default=SecretStr(""), description="secret that seals the ledger; ledger.key below home for the ledger there"
    )
    study_url: SecretStr = Field(
        default=SecretStr(""), description="postgresql://... that keeps searches' trials; files below home when empty"
    )
    mlflow_uri: str = Field(default="", description="MLflow tracking URI; sqlite below home when empty")
    pipelines: str = Field(default="", description="folders with pipeline files, separated like PATH")
    score_rows: int = Field(
        default=150_000, ge=1, description="rows of a batch that are scored at once; memory is bounded by them"
    )
    scorer_url: str = Field(default="http://127.0.0.1:8080", description="where the scorer answers")
    scorer_workers: int = Field(default=1, ge=1, description="worker processes of the scorer")
    scorer_tokens: SecretStr = Field(
        default=SecretStr(""), description="bearer tokens that the scorer takes, separated by commas"
    )
    scorer_token_file: Path | None = Field(
        default=None, description="file with more of them, one a line; read again when it changes, so tokens can rotate"
    )
    scorer_token: SecretStr = Field(default=SecretStr(""), description="the token that Andon's own clients send")
    delivery_database: SecretStr = Field(
        default=SecretStr(""),
        description="postgresql://... or sqlite:///... of delivery tables; sqlite below home when empty",
    )
    actor: str = Field(default="", description="who acts, for the audit trail; the operating system's user when empty")
    lease_seconds: float = Field(default=60.0, gt=0, description="a lease without heartbeat is free after this long")

    alert_webhooks: SecretStr = Field(
        default=SecretStr(""), description="who is told of incidents: Slack-compatible webhooks, separated by commas"
    )
    alert_blocks: str = Field(
        default="", description="the same by Prefect's notification blocks, like slack-webhook/ops, separated by commas"
    )
    public_url: str = Field(default="", description="http address at which others see `home`/reports, for links")
    silence_seconds: float = Field(
        default=7200.0, gt=0, description="what was scored and not watched for so long is an alarm"
    )

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        if "://" in self.lake and not self.lake.startswith("s3://"):
            raise DefinitionError(f"ANDON_LAKE must be a local folder or s3://bucket/prefix, got {self.lake!r}")
        if self.s3_endpoint and not self.s3_endpoint.startswith(("http://", "https://")):
            raise DefinitionError(f"ANDON_S3_ENDPOINT must be like https://s3.example.org, got {self.s3_endpoint!r}")
        if self.mlflow_uri and not self.mlflow_uri.startswith(_MLFLOW):
            raise DefinitionError(
                "ANDON_MLFLOW_URI must be a server's http address or a database's URL like sqlite:///..."
            )
        if 0 < len(self.ledger_key.get_secret_value()) < _KEY_LENGTH:
            raise DefinitionError(
                f"ANDON_LEDGER_KEY must have at least {_KEY_LENGTH} characters; make one: openssl rand -hex 32"
            )
        if not self.scorer_url.startswith(("http://", "https://")):
            raise DefinitionError(f"ANDON_SCORER_URL must be like http://127.0.0.1:8080, got {self.scorer_url!r}")
        self._check_alerts()
        return self

    def _check_alerts(self) -> None:
        """NOTE: a webhook's address is a secret, and is not told."""
        for number, url in enumerate(self.webhooks, start=1):
            if not _WEBHOOK.fullmatch(url.get_secret_value()):
                raise DefinitionError(
                    f"ANDON_ALERT_WEBHOOKS must be addresses like https://hooks.example.org/..., separated by commas; "
                    f"number {number} is none"
                )
        for slug in self.blocks:
            if not _SLUG.fullmatch(slug):
                raise DefinitionError(
                    f"ANDON_ALERT_BLOCKS must be a kind and a name like slack-webhook/ops, separated by commas, "
                    f"got {slug!r}"
                )
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise DefinitionError(f"ANDON_PUBLIC_URL must be like https://andon.example.org, got {self.public_url!r}")

    @property
    def webhooks(self) -> tuple[SecretStr, ...]:
        """The webhooks, one by one."""
        return tuple(SecretStr(url) for url in _parts(self.alert_webhooks.get_secret_value()))

    @property
    def blocks(self) -> tuple[str, ...]:
        """The slugs of the notification blocks."""
        return _parts(self.alert_blocks)

    @property
    def delivery(self) -> SecretStr:
        """The URL of the database for delivery tables."""
        below_home = f"sqlite:///{(self.home / 'delivery.db').absolute()}"
        return self.delivery_database if self.delivery_database.get_secret_value() else SecretStr(below_home)

    @property
    def silence(self) -> timedelta:
        """How long the monitor may leave what was scored without a report."""
        return timedelta(seconds=self.silence_seconds)

    @property
    def lake_root(self) -> str:
        """Where all data lies: an absolute folder, or s3://bucket/prefix."""
        return self.lake if self.lake.startswith("s3://") else str((Path(self.lake or self.home / "lake")).absolute())

    @property
    def local_data(self) -> Path | None:
        """The absolute folder for data that must lie on this machine while the lake is in a bucket; else None."""
        return (self.home / "local").absolute() if self.lake.startswith("s3://") else None

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.ledger_url or self._embedded_ledger

    def seal_key(self, *, on_missing: Literal["make", "none"] = "make") -> bytes | None:
        """The key that seals the ledger: the configured one, else for the ledger below home the one of its file.

        That file (readable by its owner alone) is made at the first call, unless `on_missing` is "none": for readers.
        None: the ledger is elsewhere and no key is configured, so it is not sealed.
        """
        if configured := self.ledger_key.get_secret_value():
            return configured.encode()
        if self.ledger != self._embedded_ledger:
            return None
        return _key_of(self.home.absolute() / "ledger.key", on_missing=on_missing)

    def log_key(self) -> bytes:
        """The key by which prediction logs hash columns: that of a file below home, made at the first call.

        A log and the monitor that reads it need the same one.
        """
        key = _key_of(self.home.absolute() / "log.key", on_missing="make")
        assert key is not None  # noqa: S101 - it was made
        return key

    @property
    def _embedded_ledger(self) -> str:
        """NOTE: the processes that Andon starts are told this URL as a configured one."""
        return f"sqlite:///{(self.home / 'ledger.db').absolute()}"

    @property
    def mlflow(self) -> str:
        """MLflow's tracking and registry URI."""
        return self.mlflow_uri or f"sqlite:///{(self.home / 'mlflow.db').absolute()}"

    @property
    def models(self) -> Path:
        """The absolute folder of MLflow's artefacts in the embedded case."""
        return (self.home / "models").absolute()

    @property
    def pipeline_folders(self) -> tuple[Path, ...]:
        """The folders in which the catalogue looks."""
        named = tuple(Path(folder).absolute() for folder in self.pipelines.split(os.pathsep) if folder)
        return named or (_PROJECT / "pipelines",)

    @property
    def settle(self) -> timedelta:
        """How long a landed file that looks unfinished is given to become whole."""
        return timedelta(seconds=self.settle_seconds)

    @property
    def lease_ttl(self) -> timedelta:
        """How long a lease lives without a heartbeat."""
        return timedelta(seconds=self.lease_seconds)


def _parts(listed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",") if part.strip())


def _key_of(path: Path, *, on_missing: Literal["make", "none"]) -> bytes | None:
    """The key in a file, made when it is missing; of many processes that make it at once one wins, for all."""
    if not path.exists():
        if on_missing == "none":
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as beside:  # NOTE: made with mode 0600
            beside.write(f"{secrets.token_hex(32)}\n")
            beside.flush()
            os.fsync(beside.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(beside.name)  # unlike a rename it replaces nothing
    key = path.read_text(encoding="utf-8").strip()
    if len(key) < _KEY_LENGTH:
        raise DefinitionError(f"{path} must hold a key of at least {_KEY_LENGTH} characters; put back its good copy")
    return key.encode()
