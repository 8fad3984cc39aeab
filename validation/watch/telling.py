"""What people are told of an incident: short, in plain words, the most important first. Pure."""

from datetime import UTC, datetime

from validation.watch.incidents import Incident, IncidentKind

MAX_LINE = 240  # characters of one sentence in a message; the page and the ledger have all of it
MAX_TITLE = 120

_HEADS: dict[IncidentKind, str] = {
    "drift": "What has moved most",
    "bad data": "What has moved most",
    "quality": "Measured",
    "silence": "What is known",
    "unreadable data": "Files",
    "rollout": "Found",
    "serving": "It says",
}


def title_of(incident: Incident) -> str:
    """One line: which pipeline, what, and whether somebody must get up."""
    finding = incident.finding
    if incident.outcome == "closed":
        return _short(f"{incident.pipeline}: over: {finding.title}", MAX_TITLE)
    news = "still open, with news: " if incident.outcome == "changed" else ""
    return _short(f"{incident.pipeline}: {news}{finding.title}", MAX_TITLE)


def text_of(incident: Incident) -> str:
    """The message below the title: since when, what, why, what is done, and where to look."""
    finding, closed = incident.finding, incident.outcome == "closed"
    first = f"It is over: {incident.over}" if closed else f"{finding.severity[0].upper()}{finding.severity[1:]}"
    parts = [f"{first}. {_since(incident)}".strip()]
    if finding.lines:
        lines = (f"- {_short(line, MAX_LINE)}" for line in finding.lines)
        parts.append("\n".join([f"{'What it was' if closed else _HEADS[finding.kind]}:", *lines]))
    if not closed:
        parts += [f"Probable cause: {finding.cause}.", f"What is done: {finding.doing}."]
    parts.append("\n".join([*([f"Look: {incident.link}"] if incident.link else []), _foot(incident)]))
    return "\n\n".join(parts)


def when(moment: str) -> str:
    """An ISO moment as people write it: at midnight the day alone; anything that is none, as it is."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    found = found.astimezone(UTC) if found.tzinfo else found
    return f"{found:%Y-%m-%d}" if found.hour == found.minute == 0 else f"{found:%Y-%m-%d %H:%M} UTC"


def _since(incident: Incident) -> str:
    finding = incident.finding
    if not finding.since:
        return ""
    if incident.outcome == "closed":
        return f"It began on {when(finding.since)}."
    many = f", in {finding.windows} windows" if finding.windows > 1 else ""
    return f"Since {when(finding.since)}{many}."


def _foot(incident: Incident) -> str:
    return f"More: andon incidents {incident.pipeline} (no. {incident.subject})"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."
