"""Whole files and small objects in S3. See `storage.objects.Objects` for the promises.

Large objects are read and written in pieces. Each piece is a call of its own with its own deadline, so that a peer that
only trickles fails as one that is silent does, while a large file may take as long as it needs.
"""

import hashlib
import logging
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC
from itertools import islice
from pathlib import Path

from storage.address import Address, shown
from storage.calls import Answer, Calls, PreconditionError
from storage.crc import checksum_of
from storage.found import DamagedError, Found, changed
from storage.globs import Children, matches
from storage.local import draft_of
from storage.remote import Remote
from validation.errors import ServiceDownError
from validation.failpoints import reached

READ_BYTES = 4 * 2**20
WRITE_BYTES = 8 * 2**20  # S3 takes no parts below 5 MiB but the last
_MOST_PARTS = 9_000
_AHEAD = 2  # pieces under way at once
_TOKEN = "andon-token"  # noqa: S105 - the name of a metadata field

_LOG = logging.getLogger(__name__)


class S3Objects:
    """The adapter for buckets. Keys with an empty part, "." or ".." in their folder are not found."""

    def __init__(self, remote: Remote) -> None:
        self._calls = Calls(remote)

    def find(self, glob: Address) -> tuple[Found, ...]:
        """The files that match, by name."""
        return matches(glob, self._children)

    def look(self, address: Address) -> Found | None:
        """The file at this address; None when there is none."""
        try:
            head = self._calls.run("head_object", address)
        except FileNotFoundError:
            return None
        return _found(address, head, head["ContentLength"])

    def fetch(self, address: Address, into: Path, *, stamp: str = "") -> str:
        """Copy the file to `into`; returns its sha256. ContractError when it changes, goes, or is damaged."""
        try:
            head = self._calls.run("head_object", address, ChecksumMode="ENABLED")
            found = _found(address, head, head["ContentLength"])
            if stamp not in ("", found.stamp):
                raise changed(address)
            with draft_of(into) as draft:
                digest, damage = self._copy(address, draft, head)
                draft.replace(into)
        except (FileNotFoundError, PreconditionError) as cause:
            raise changed(address) from cause
        if damage:
            raise DamagedError(address, damage, sha256=digest)
        return digest

    def read(self, address: Address) -> bytes:
        """All its bytes; FileNotFoundError when it is not there."""
        body: bytes = self._calls.run("get_object", address)["Body"]
        return body

    def put(self, file: Path, address: Address) -> None:
        """Store the local file there, in place of what was: whole or not at all."""
        if file.stat().st_size <= WRITE_BYTES:
            self._calls.run("put_object", address, Body=file.read_bytes())
            return
        upload = self._calls.run("create_multipart_upload", address)["UploadId"]
        try:
            self._upload(file, address, upload)
        except FileNotFoundError as error:
            raise ServiceDownError(f"the upload of {shown(str(address))} was ended by others; repeat it") from error

    def create(self, data: bytes, address: Address) -> bool:
        """Store `data` there unless something is."""
        token = uuid.uuid4().hex
        try:
            self._calls.run("put_object", address, Body=data, IfNoneMatch="*", Metadata={_TOKEN: token})
        except PreconditionError:
            # Perhaps it was our own attempt that won, and only its answer was lost.
            return self._token(address) == token
        return True

    def create_from(self, file: Path, address: Address) -> bool:
        """Store the local file there unless something is."""
        if file.stat().st_size <= WRITE_BYTES:
            return self.create(file.read_bytes(), address)
        token = uuid.uuid4().hex
        upload = self._calls.run("create_multipart_upload", address, Metadata={_TOKEN: token})["UploadId"]
        try:
            self._upload(file, address, upload, IfNoneMatch="*")
        except (PreconditionError, FileNotFoundError) as error:
            # Perhaps it is our own upload that was completed, and only the answer was lost.
            if self._token(address) == token:
                return True
            if isinstance(error, PreconditionError):
                return False
            raise ServiceDownError(f"the upload of {shown(str(address))} was ended by others; repeat it") from error
        return True

    def remove(self, address: Address) -> None:
        """Take it away; nothing happens when it is not there."""
        self._calls.run("delete_object", address)

    def names(self, folder: Address) -> tuple[str, ...]:
        """The names of the files directly in the folder, sorted."""
        return tuple(sorted(found.address.name for found in self._children(folder)[1]))

    def _children(self, folder: Address) -> Children:
        prefix = f"{folder.key}/" if folder.key else ""
        folders: list[str] = []
        files: list[Found] = []
        for page in self._pages(folder, prefix):
            folders += [entry["Prefix"][len(prefix) : -1] for entry in page.get("CommonPrefixes", ())]
            files += [
                _found(Address(f"s3://{folder.bucket}/{entry['Key']}"), entry, entry["Size"])
                for entry in page.get("Contents", ())
                if not entry["Key"].endswith("/")  # a marker that makes a folder visible
            ]
        return [name for name in folders if name not in ("", ".", "..")], files

    def _pages(self, folder: Address, prefix: str) -> Iterator[Answer]:
        bucket = Address(f"s3://{folder.bucket}")
        more: dict[str, str] = {}
        while True:
            page = self._calls.run("list_objects_v2", bucket, Prefix=prefix, Delimiter="/", **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _copy(self, address: Address, target: Path, head: Answer) -> tuple[str, str]:
        """The digest of what was copied, and how it differs from what S3 should hold."""
        digest, told = hashlib.sha256(), checksum_of(head)
        with target.open("wb") as file:
            for piece in self._pieces(address, head["ETag"], head["ContentLength"]):
                digest.update(piece)
                file.write(piece)
                if told is not None:
                    told.update(piece)
        return digest.hexdigest(), told.damage if told is not None else ""

    def _pieces(self, address: Address, etag: str, size: int) -> Iterator[bytes]:
        """The bytes of this version in order, the next piece under way while one is used."""
        starts, under_way = iter(range(0, size, READ_BYTES)), deque[tuple[int, Future[Answer]]]()
        try:
            while True:
                for start in islice(starts, _AHEAD - len(under_way)):
                    end = min(start + READ_BYTES, size)
                    wanted = {"IfMatch": etag, "Range": f"bytes={start}-{end - 1}"}
                    under_way.append((end - start, self._calls.start("get_object", address, **wanted)))
                if not under_way:
                    return
                length, call = under_way.popleft()
                answer = self._calls.wait(call)
                if answer["ETag"] != etag or len(answer["Body"]) != length:
                    raise changed(address)
                yield answer["Body"]
        finally:
            for _, call in under_way:
                call.cancel()

    def _upload(self, file: Path, address: Address, upload: str, **conditions: str) -> None:
        """Send it in parts; whole or not at all. FileNotFoundError when the upload has been ended meanwhile."""
        try:
            parts = self._send_parts(file, address, upload, max(WRITE_BYTES, file.stat().st_size // _MOST_PARTS))
            reached("publish.uploaded")
            done = {"UploadId": upload, "MultipartUpload": {"Parts": parts}, **conditions}
            self._calls.run("complete_multipart_upload", address, **done)
        except BaseException:
            self._abort(address, upload)
            raise

    def _send_parts(self, file: Path, address: Address, upload: str, size: int) -> list[dict[str, object]]:
        parts: list[dict[str, object]] = []
        with file.open("rb") as reading:
            while piece := reading.read(size):
                number = len(parts) + 1
                sent = self._calls.run("upload_part", address, UploadId=upload, PartNumber=number, Body=piece)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        return parts

    def _abort(self, address: Address, upload: str) -> None:
        """NOTE: parts that cannot be taken away cost storage until the bucket's own rule for such uploads does."""
        try:
            self._calls.run("abort_multipart_upload", address, UploadId=upload)
        except (FileNotFoundError, ServiceDownError) as error:
            _LOG.warning("the parts of a failed upload to %s are left behind: %s", shown(str(address)), error)

    def _token(self, address: Address) -> str:
        try:
            return str(self._calls.run("head_object", address).get("Metadata", {}).get(_TOKEN, ""))
        except FileNotFoundError:
            return ""


def _found(address: Address, told: Answer, size: int) -> Found:
    etag = str(told["ETag"]).strip('"')
    modified_at = told["LastModified"].astimezone(UTC)
    return Found(address=address, name=shown(address.name), size=size, stamp=f"{size}-{etag}", modified_at=modified_at)
