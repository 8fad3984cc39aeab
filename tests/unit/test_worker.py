"""What a worker loads, and what it does before it may listen."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving import scorer
from serving.messages import Prepare, Status, line, to_supervisor, to_worker
from serving.options import WorkerOptions
from tests.unit.test_fleet import NOON, champion
from tests.unit.test_loadcheck import bundled
from validation.errors import DefinitionError

HEAVY = ("prefect", "mlflow", "optuna", "lightgbm", "sqlalchemy", "sklearn", "scipy")
LOADING = """
import sys
from pathlib import Path
from pathlib import Path
import serving.scorer, serving.supervisor, serving.worker
from modelling import bundle
from modelling.golden import from_json
loaded = bundle.load(Path(sys.argv[1]))
loaded.predict_values([column.to_list() for column in from_json(loaded.manifest.golden_rows, loaded.raw_schema)])
print([name for name in sys.argv[2:] if name in sys.modules])
"""


def test_neither_supervisor_nor_worker_loads_a_library_that_it_does_not_need(tmp_path: Path) -> None:
    """pandas is not in the list: pandera, which definitions import, loads it."""
    bundled(tmp_path / "bundle")
    command = [sys.executable, "-c", LOADING, str(tmp_path / "bundle"), *HEAVY]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_messages_come_back_as_they_were_sent() -> None:
    for message in (Prepare(3, champion(2), "/bundles/2"), Status("trips", "refused: é\nno", NOON, {"7": "2"})):
        text = line(message)
        assert text.count(b"\n") == 1
        assert to_worker(text) == message
    with pytest.raises(Exception, match="Invalid value"):
        to_supervisor(line(Prepare(3, champion(2), "")))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "the scorer takes no tokens yet; set ANDON_SCORER_TOKENS"),  # noqa: S104 - is refused
        (["--tls-key", "key.pem"], "--tls-key is given without --tls-cert"),
        (["--tls-cert", "nowhere.pem"], "--tls-cert nowhere.pem and --tls-key None cannot be used: "),
        (["--tls-cert", "a.pem", "--tls-key-password-file", "nowhere"], "--tls-key-password-file nowhere cannot be"),
    ],
)
def test_a_start_that_would_be_wrong_is_one_sentence(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANDON_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ANDON_SCORER_TOKENS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert scorer.main(["--port", "0", *arguments]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("scorer: ")
    assert told in said
    assert not (tmp_path / "home" / "scorer").exists()


def test_the_password_of_a_key_is_read_from_its_file_and_told_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("long and secret \n")
    options = WorkerOptions(
        pipelines=["trips"], limit_connections=5, tls_cert="c", tls_key="k", tls_key_password_file=str(file)
    )
    assert options.tls() == {"ssl_certfile": "c", "ssl_keyfile": "k", "ssl_keyfile_password": "long and secret "}
    assert "secret" not in repr(options)
    file.unlink()
    with pytest.raises(DefinitionError, match="cannot be read; put it back"):
        options.tls()
    assert WorkerOptions(pipelines=["trips"], limit_connections=5).tls() == {}
