"""Plain fakes of the ports, held to the same conformance suites as the real adapters."""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from registry.mlflow_files import check_names
from registry.store import ABANDONED, TOLD, Shown, Submission
from validation.errors import NoChampionError, RegistryError


class FolderStore:
    """A model store in a folder: `pipeline/number/bundle`, the intents in `intent.txt`, the aliases in one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def register(self, submission: Submission) -> str:
        versions = sorted(self._versions(submission.pipeline), key=int)
        made_of = {"intent": submission.intent, "sha256": submission.bundle_sha256}
        same = [item for item in versions if made_of.items() <= self._tags(submission.pipeline, item).items()]
        version = same[-1] if same else str(int(versions[-1]) + 1 if versions else 1)
        place = self._root / submission.pipeline / version
        if not same:
            shutil.copytree(submission.bundle, place / "bundle")
            (place / "intent.txt").write_text(submission.intent, encoding="utf-8")
        self.attach(submission.pipeline, version, submission.files)
        self._set_tags(submission.pipeline, version, made_of | {"verdict": submission.verdict})
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

    def shown(self, pipeline: str) -> Shown:
        story = self._root / pipeline / "story.md"
        tags = {
            version: {name: text for name, text in self._tags(pipeline, version).items() if name.startswith(TOLD)}
            for version in self._versions(pipeline)
        }
        return Shown(story=story.read_text(encoding="utf-8") if story.exists() else "", tags=tags)

    def tell(self, pipeline: str, version: str, *, tags: Mapping[str, str], notes: str | None = None) -> None:
        self._check(pipeline, version)
        place = self._root / pipeline / version
        own = {name: text for name, text in self._tags(pipeline, version).items() if not name.startswith(TOLD)}
        (place / "tags.json").write_text(json.dumps(own | dict(tags)), encoding="utf-8")
        if notes is not None:
            (place / "notes.md").write_text(notes, encoding="utf-8")

    def describe(self, pipeline: str, text: str) -> None:
        if self._versions(pipeline):
            (self._root / pipeline / "story.md").write_text(text, encoding="utf-8")

    def attach(self, pipeline: str, version: str, files: Mapping[str, bytes]) -> str:
        check_names(files)
        self._check(pipeline, version)
        for name, content in files.items():
            path = self._root / pipeline / version / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return ""

    def abandoned(self, pipeline: str, *, judged: Collection[str], mark: bool = True) -> tuple[str, ...]:
        versions = sorted(self._versions(pipeline), key=int)
        challenger = self.aliases(pipeline).get("challenger")
        told = []
        for version in versions:
            if version not in judged and self._tags(pipeline, version).get("verdict") != ABANDONED:
                told.append(f"version {version} is abandoned")
                if mark:
                    self._set_tags(pipeline, version, {"verdict": ABANDONED, f"{TOLD}status": ABANDONED})
        if challenger and challenger not in judged:
            told.append(f"the alias challenger said version {challenger}")
            if mark:
                known = [version for version in versions if version in judged]
                self._alias(pipeline, "challenger", known[-1] if known else None)
        return tuple(told)

    def aliases(self, pipeline: str) -> dict[str, str]:
        """All aliases, the challenger's included."""
        place = self._root / pipeline / "aliases.json"
        found: dict[str, str] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        return found

    def _tags(self, pipeline: str, version: str) -> dict[str, str]:
        place = self._root / pipeline / version / "tags.json"
        found: dict[str, str] = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        return found

    def _set_tags(self, pipeline: str, version: str, tags: Mapping[str, str]) -> None:
        place = self._root / pipeline / version / "tags.json"
        place.write_text(json.dumps(self._tags(pipeline, version) | dict(tags)), encoding="utf-8")

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
