"""Making the model store say what the ledger says; repeated at any time, it writes only what differs."""

from collections.abc import Mapping, Sequence

from registry.ledger import Ledger, Recorded
from registry.standing import known_versions, standing
from registry.store import ModelStore
from registry.story import story

_KINDS = ("gate", "promotion", "rollback", "answer", "shadow")
_STATUS = "andon.status"
_NAMED = 5
_QUOTED = 80


def project_story(ledger: Ledger, store: ModelStore, pipeline: str) -> tuple[str, ...]:
    """Tags of each version and the pipeline's story; in sentences what the store had said otherwise, or not at all.

    To be called after each change of champions, and by every sweep: two queries where nothing differs. A version that
    is not in the store any more is left out. ServiceDownError when the store does not answer.
    """
    told, champions = _verdicts(ledger, pipeline), ledger.champions(pipeline)
    wanted, shown = standing(told, champions), store.shown(pipeline)
    differing = {
        version: tags
        for version, tags in wanted.items()
        if version in shown.tags and dict(shown.tags[version]) != dict(tags)
    }
    for version, tags in differing.items():
        store.tell(pipeline, version, tags=tags)
    found = [_sentence(pipeline, differing, shown.tags)] if differing else []
    text = story(told, champions)
    if shown.tags and shown.story != text:
        store.describe(pipeline, text)
        found.append(f"the story of {pipeline!r} in the model store was not the ledger's: it is written anew")
    return tuple(found)


def clear_abandoned(ledger: Ledger, store: ModelStore, pipeline: str, *, mark: bool = True) -> tuple[str, ...]:
    """Mark what dead attempts have left in the store, and tell it; only where nobody trains, see `abandoned`."""
    return store.abandoned(
        pipeline, judged=known_versions(_verdicts(ledger, pipeline), ledger.champions(pipeline)), mark=mark
    )


def _verdicts(ledger: Ledger, pipeline: str) -> Sequence[Recorded]:
    found = [record for kind in _KINDS for record in ledger.verdicts(pipeline, kind=kind)]
    return sorted(found, key=lambda record: record.seq)


def _sentence(pipeline: str, wanted: Mapping[str, Mapping[str, str]], there: Mapping[str, Mapping[str, str]]) -> str:
    versions = sorted(wanted, key=int)
    named = ", ".join(versions[:_NAMED]) + (f" and {len(versions) - _NAMED} more" if versions[_NAMED:] else "")
    version = versions[-1]
    said, says = there[version], wanted[version]
    tag = max((name for name in {**said, **says} if said.get(name) != says.get(name)), key=lambda name: name == _STATUS)
    wrong = f"of version {version} {tag} said {_quoted(said.get(tag))}, the ledger says {_quoted(says.get(tag))}"
    many = "versions" if len(versions) > 1 else "version"
    return f"the tags of {many} {named} of {pipeline!r} did not say what the ledger says: repaired ({wrong})"


def _quoted(text: str | None) -> str:
    return "nothing" if text is None else repr(text[:_QUOTED])
