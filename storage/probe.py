"""May Delta tables be written to this store? Only where a conditional write has one winner: elsewhere two writers
commit one version, both are told that it worked, and the rows of one are lost.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from storage.address import Address
from storage.objects import objects_for
from storage.remote import Remote
from validation.errors import ServiceDownError

_AT_ONCE = 8


def require_conditional_writes(place: Address, remote: Remote) -> None:
    """ServiceDownError when the store of `place` ignores conditions; asked once for each process and bucket.

    A local folder passes. The probe leaves nothing behind.
    """
    if place.is_remote:
        _probe(place.bucket, _folder(place), remote)


def _folder(place: Address) -> Address:
    """The first folder of the bucket that belongs to the lake: elsewhere we may not be allowed to write."""
    return Address(f"s3://{place.bucket}/{place.key.partition('/')[0]}")


@lru_cache(maxsize=64)
def _probe(bucket: str, folder: Address, remote: Remote) -> None:
    objects, key = objects_for(folder, remote), folder / f".andon-probe-{uuid.uuid4().hex}"
    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            at_once = list(threads.map(lambda number: objects.create(b"%d" % number, key), range(_AT_ONCE)))
        winners = sum(at_once) + objects.create(b"late", key)
    finally:
        objects.remove(key)
    if winners != 1:
        raise ServiceDownError(
            f"the store of s3://{bucket} does not keep conditional writes (If-None-Match): {winners} of {_AT_ONCE + 1} "
            "writers of one key were told that they were the first, so commits would be lost; use a store that keeps "
            "them, as AWS S3 does, or a local folder (ANDON_LAKE)"
        )
