"""Announcing what the ledger already holds. Events are hints: losing one costs time, never truth."""

from datetime import datetime

from prefect.events import emit_event


def announce(event: str, pipeline: str, **payload: str | float | bool | None) -> None:
    """Emit `andon.<event>` about the pipeline; automations match on the event and `andon.pipeline.<name>`."""
    emit_event(
        event=f"andon.{event}",
        resource={"prefect.resource.id": f"andon.pipeline.{pipeline}", "prefect.resource.name": pipeline},
        payload={"pipeline": pipeline, **payload},
    )


def request_retrain(pipeline: str, *, intent: str, as_of: datetime, reason: str) -> None:
    """Ask for the retrain of an intent that the ledger holds; the automation in prefect.yaml runs it."""
    announce("retrain.requested", pipeline, intent=intent, as_of=as_of.isoformat(), reason=reason)
