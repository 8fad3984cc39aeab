"""What a manifest beside a file says of its bytes: `NAME.sha256`, or SHA256SUMS or MANIFEST in its folder, as sha256sum
writes them. Without one, damage before the arrival cannot be told, unless the format has checksums of its own.
"""

import re
from collections.abc import Mapping
from threading import Lock

from storage.address import Address
from storage.flaws import Flaw
from storage.objects import objects_for
from storage.remote import Remote

SIDECAR = ".sha256"
MANIFESTS = ("SHA256SUMS", "MANIFEST")

_LINE = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.+))?")


class Evidence:
    """The digests that were uploaded with the files of some folders. Each manifest is read once."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._manifests: dict[Address, Mapping[str, str]] = {}
        self._lock = Lock()

    def flaw(self, address: Address, sha256: str) -> Flaw | None:
        """What is wrong when the file is not what a manifest says; perhaps that one is still to be uploaded too."""
        told = self._told(address)
        if told is None or told[0] == sha256:
            return None
        reason = f"is not what {told[1]} says: its sha256 is {sha256}, expected {told[0]}; upload both again"
        return Flaw(reason, is_incomplete=True)

    def _told(self, address: Address) -> tuple[str, str] | None:
        """The sha256 that the file should have, and who says so; None when nothing says anything."""
        name = address.name
        sums = self._sums(Address(f"{address.url}{SIDECAR}"))
        if told := sums.get(name) or (next(iter(sums.values())) if len(sums) == 1 else None):
            return told, name + SIDECAR
        for manifest in MANIFESTS:
            with self._lock:
                place = address.parent / manifest
                if place not in self._manifests:
                    self._manifests[place] = self._sums(place)
            if told := self._manifests[place].get(name):
                return told, manifest
        return None

    def _sums(self, place: Address) -> dict[str, str]:
        """The digests by file name, "" for one without a name; lines of another form say nothing."""
        try:
            text = objects_for(place, self._remote).read(place).decode("utf-8", "replace")
        except (FileNotFoundError, IsADirectoryError):
            return {}
        lines = (_LINE.fullmatch(line) for line in text.splitlines())
        return {(line[2] or "").removeprefix("./"): line[1].lower() for line in lines if line}


def is_evidence(name: str) -> bool:
    """Is this the name of a manifest, and no data?"""
    return name.endswith(SIDECAR) or name.rpartition("/")[2] in MANIFESTS
