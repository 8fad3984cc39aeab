"""Plain fakes of the ports, held to the same conformance suites as the real adapters."""

import json
import shutil
from pathlib import Path

from registry.store import Submission
from validation.errors import NoChampionError, RegistryError


class FolderStore:
    """A model store in a folder: `pipeline/number/bundle`, the intents in `intent.txt`, the aliases in one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def register(self, submission: Submission) -> str:
        version = str(1 + max((int(item) for item in self._versions(submission.pipeline)), default=0))
        place = self._root / submission.pipeline / version
        shutil.copytree(submission.bundle, place / "bundle")
        (place / "intent.txt").write_text(submission.intent, encoding="utf-8")
        self._alias(submission.pipeline, "challenger", version)
        return version

    def find(self, pipeline: str, *, intent: str) -> str | None:
        intents = {
            version: (self._root / pipeline / version / "intent.txt").read_text(encoding="utf-8")
            for version in self._versions(pipeline)
        }
        return max((version for version, known in intents.items() if known == intent), key=int, default=None)

    def fetch(self, pipeline: str, version: str, *, into: Path) -> Path:
        if into.exists():
            raise RegistryError(f"{into} is there already; fetch a bundle into a new folder")
        self._check(pipeline, version)
        return shutil.copytree(self._root / pipeline / version / "bundle", into)

    def project(self, pipeline: str, version: str | None) -> None:
        if version is not None:
            self._check(pipeline, version)
        self._alias(pipeline, "champion", version)

    def projected(self, pipeline: str) -> str | None:
        return self.aliases(pipeline).get("champion")

    def aliases(self, pipeline: str) -> dict[str, str]:
        """All aliases, the challenger's included."""
        place = self._root / pipeline / "aliases.json"
        found: dict[str, str] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        return found

    def _versions(self, pipeline: str) -> list[str]:
        return [item.parent.name for item in (self._root / pipeline).glob("*/intent.txt")]

    def _check(self, pipeline: str, version: str) -> None:
        if version not in self._versions(pipeline):
            raise NoChampionError(f"{pipeline!r} has no version {version}; see andon history {pipeline}")

    def _alias(self, pipeline: str, alias: str, version: str | None) -> None:
        changed = {**self.aliases(pipeline), alias: version}
        (self._root / pipeline).mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in changed.items() if value is not None}
        (self._root / pipeline / "aliases.json").write_text(json.dumps(kept), encoding="utf-8")
