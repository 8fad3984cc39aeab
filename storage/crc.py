"""The checksums that S3 keeps beside an object: SHA-256, SHA-1, CRC-32, CRC-32C and CRC-64/NVME.

The last two are in no library of ours. A CRC is linear over GF(2): a block is cut into lanes, numpy carries all lanes
forward a byte at a time, and pairs of lanes are joined by the matrix that appends zero bytes. About 0.2 GB/s.
"""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.uint64]

_POLYNOMIALS = {32: 0x82F63B78, 64: 0x9A6C9329AC4BC9B5}  # CRC-32C and CRC-64/NVME, lowest bit first
_LONGEST_LANE = 512


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Checksum:
    """A checksum that the store told, and what came instead; `name` as S3 calls it, such as CRC64NVME."""

    def __init__(self, name: str, told: str) -> None:
        self.name, self.told, self._digest = name, told, _ALGORITHMS[name]()

    def update(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._digest.update(data)

    @property
    def got(self) -> str:
        """The checksum of what was taken in, written as S3 writes it."""
        return base64.b64encode(self._digest.digest()).decode()

    @property
    def damage(self) -> str:
        """What is to be said of bytes that are not what the store was told; empty when they are."""
        if self.got == self.told:
            return ""
        return f"is damaged: its {self.name} is {self.got}, S3 holds {self.told}; upload it again"


def checksum_of(head: Mapping[str, Any]) -> Checksum | None:
    """The checksum of the whole object in an answer of S3; None when it tells none.

    That of a multipart upload may be composite, a checksum of the parts' checksums: it cannot be compared, and is left.
    """
    if head.get("ChecksumType") == "COMPOSITE":
        return None
    told = {name: str(head[field]) for name in _ALGORITHMS if (field := f"Checksum{name}") in head}
    name = next((name for name, value in told.items() if "-" not in value), None)  # "...-3" are three parts
    return None if name is None else Checksum(name, told[name])


class _Crc32:
    def __init__(self) -> None:
        self._register = 0

    def update(self, data: bytes, /) -> None:
        self._register = zlib.crc32(data, self._register)

    def digest(self) -> bytes:
        return self._register.to_bytes(4, "big")


class _Crc:
    """The two that are computed here; `bits`: 32 for CRC-32C, 64 for CRC-64/NVME."""

    def __init__(self, bits: int) -> None:
        self._bits, self._register = bits, np.uint64(2**bits - 1)

    def update(self, data: bytes, /) -> None:
        if data:
            before = _appended_zeros(self._bits, self._register, len(data))
            self._register = before ^ _register(self._bits, data)

    def digest(self) -> bytes:
        flipped: int = int(self._register) ^ (2**self._bits - 1)
        return flipped.to_bytes(self._bits // 8, "big")


_ALGORITHMS: Mapping[str, type[_Digest] | Any] = {
    "SHA256": hashlib.sha256,
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "CRC32": _Crc32,
    "CRC64NVME": lambda: _Crc(64),
    "CRC32C": lambda: _Crc(32),
}


def _register(bits: int, data: bytes) -> np.uint64:
    """The register after `data`, started at zero: so zero bytes before it change nothing, and fill up the lanes."""
    lane = 1
    while lane < _LONGEST_LANE and lane * lane < len(data):
        lane *= 2
    lanes = 1 << max(0, (-(-len(data) // lane) - 1).bit_length())
    block = np.zeros(lanes * lane, np.uint8)
    block[block.size - len(data) :] = np.frombuffer(data, np.uint8)
    table = _table(bits)
    registers = np.zeros(lanes, np.uint64)
    for column in np.ascontiguousarray(block.reshape(lanes, lane).T):
        registers = table[registers.astype(np.uint8) ^ column] ^ (registers >> np.uint64(8))
    power = lane.bit_length() - 1
    while registers.size > 1:
        registers = _applied(_zeros(bits, power), registers[0::2]) ^ registers[1::2]
        power += 1
    return np.uint64(registers[0])


def _appended_zeros(bits: int, register: np.uint64, count: int) -> np.uint64:
    """The register after `count` further zero bytes."""
    found = np.array([register], np.uint64)
    for power in range(count.bit_length()):
        if count >> power & 1:
            found = _applied(_zeros(bits, power), found)
    return np.uint64(found[0])


@cache
def _table(bits: int) -> Words:
    """The register after each single byte."""
    polynomial, table = np.uint64(_POLYNOMIALS[bits]), np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = np.where(table & np.uint64(1), table >> np.uint64(1) ^ polynomial, table >> np.uint64(1))
    return table


@cache
def _zeros(bits: int, power: int) -> Words:
    """What 2**power further zero bytes make of a register, byte by byte: the images are to be added up."""
    if power:
        half = _zeros(bits, power - 1)
        return np.array([_applied(half, images) for images in half])
    units = np.arange(256, dtype=np.uint64) << (8 * np.arange(bits // 8, dtype=np.uint64))[:, None]
    return _table(bits)[units.astype(np.uint8)] ^ (units >> np.uint64(8))


def _applied(images: Words, registers: Words) -> Words:
    found = np.zeros_like(registers)
    for place, of_byte in enumerate(images):
        found ^= of_byte[(registers >> np.uint64(8 * place)).astype(np.uint8)]
    return found
