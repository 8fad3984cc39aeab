"""In the supervisor: a champion's bundle is fetched and verified once, for all workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelling import bundle
from modelling.golden import from_json
from registry.cache import cached_bundle
from registry.ledger import Champion, Change
from registry.store import ModelStore
from serving.loading import decoder_of
from validation.errors import RegistryError
from validation.failpoints import reached

SLOWEST_SECONDS = 1.0  # a model whose quickest answer of some takes longer than this serves nobody
_TIMED = 5
_FEATURES = "feature_names="


@dataclass(frozen=True, slots=True, kw_only=True)
class Vetted:
    """A bundle that may be served: where it lies, and how long it took to load and to verify."""

    folder: Path
    seconds: float


class Vetter:
    """`bundles` is this machine's cache; `store` is opened only for what is not in it. For any thread."""

    def __init__(self, *, bundles: Path, store: Callable[[], ModelStore]) -> None:
        self._bundles, self._store = bundles, store

    def folder(self, change: Change) -> Path:
        """Where the bundle lies on this machine, whole; fetched when it is not here, or is damaged."""
        return cached_bundle(change, self._store, folder=self._bundles, digest=bundle.digest)

    def vet(self, champion: Champion) -> Vetted:
        """The bundle, if these are the promoted bytes, and compute here what they did when made; else raises."""
        change = champion.change
        folder = self.folder(change)
        reached("scorer.fetched")
        began = time.monotonic()
        loaded = bundle.load(folder, sha256=change.bundle_sha256)
        decoder_of(loaded)
        _check_order(loaded, folder)
        loaded.verify()
        _check_latency(loaded)
        reached("scorer.loaded")
        return Vetted(folder=folder, seconds=time.monotonic() - began)


def _check_order(loaded: bundle.Bundle, folder: Path) -> None:
    """The model's own feature names, where it has them, must be the encoding's, in its order."""
    with (folder / "model.txt").open(encoding="utf-8") as lines:
        named = next((text.removeprefix(_FEATURES).split() for text in lines if text.startswith(_FEATURES)), [])
    expected = list(loaded.manifest.encoding.names)
    if len(named) != len(expected):
        raise RegistryError(f"bundle {loaded.sha256[:12]} has a model of {len(named)} features, not {len(expected)}")
    if set(named) == set(expected) and named != expected:
        raise RegistryError(f"bundle {loaded.sha256[:12]} has its features in another order than its model; train anew")


def _check_latency(loaded: bundle.Bundle) -> None:
    """NOTE: the quickest of some, since a busy machine must not refuse a good model."""
    row = [column.to_list() for column in from_json(loaded.manifest.golden_rows[:1], loaded.raw_schema)]
    if (quickest := min(_seconds(loaded, row) for _ in range(_TIMED))) > SLOWEST_SECONDS:
        raise RegistryError(
            f"bundle {loaded.sha256[:12]} takes {quickest:.1f} s for one row, expected at most {SLOWEST_SECONDS:.0f}; "
            "train a smaller model"
        )


def _seconds(loaded: bundle.Bundle, row: list[list[object]]) -> float:
    began = time.perf_counter()
    loaded.predict_values(row)
    return time.perf_counter() - began
