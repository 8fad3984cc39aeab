"""The newest verdicts of a pipeline, for `andon status`."""

from typing import TYPE_CHECKING

from rich.text import Text

from andon.cli.output import about, coloured, moment

if TYPE_CHECKING:
    from registry.ledger import Ledger, Recorded

_ENDED = ("failed", "not trained")


def newest(ledger: "Ledger", name: str, kind: str) -> "Recorded | None":
    """The newest verdict of a kind about the pipeline `name`."""
    return next(iter(ledger.verdicts(name, kind=kind, limit=1)), None)


def ended_training(ledger: "Ledger", name: str) -> "Recorded | None":
    """The newest training, where it came to nothing and no gate has judged a challenger since."""
    training, gate = newest(ledger, name, "training"), newest(ledger, name, "gate")
    if training is None or training.outcome not in _ENDED or (gate and gate.seq > training.seq):
        return None
    return training


def verdict_line(found: "Recorded | None", nothing: str) -> Text:
    """A verdict in one line, or `nothing`."""
    if found is None:
        return Text(nothing)
    return Text.assemble(f"{about(found.kind, found.subject)}: ", coloured(found.outcome), f", {_why(found)}")


def training_line(found: "Recorded") -> Text:
    """How the last training ended, and why."""
    return Text(f"{found.outcome} on {moment(found.data_time)}: {_why(found)}", style="red")


def _why(found: "Recorded") -> str:
    return "; ".join(found.reasons)
