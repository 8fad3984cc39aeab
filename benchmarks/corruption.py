"""Ways in which a file goes wrong on its way, as functions of its bytes and of chance. Nothing here knows a library."""

import random
from collections.abc import Callable
from dataclasses import dataclass

_BLOCK = 4_096  # of a disk, or a network buffer
_PAGE_HEADER = 24  # bytes, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A whole file's bytes. `footer`: where its closing part begins; `pages`: where parts of its inside begin."""

    data: bytes
    footer: int
    pages: tuple[int, ...]


Damage = Callable[[Victim, random.Random], bytes]


def flipped_bit(victim: Victim, chance: random.Random) -> bytes:
    return _flip(victim.data, [chance.randrange(len(victim.data))], chance)


def flipped_bits(victim: Victim, chance: random.Random) -> bytes:
    return _flip(victim.data, [chance.randrange(len(victim.data)) for _ in range(chance.randint(2, 64))], chance)


def overwritten_range(victim: Victim, chance: random.Random) -> bytes:
    length = min(chance.choice((1, 4, 16, 200, 2_000)), len(victim.data))
    return _put(victim.data, chance.randint(0, len(victim.data) - length), chance.randbytes(length))


def zeroed_block(victim: Victim, chance: random.Random) -> bytes:
    start, end = _block(victim.data, chance)
    return _put(victim.data, start, bytes(end - start))


def swapped_blocks(victim: Victim, chance: random.Random) -> bytes:
    (one, one_ends), (two, two_ends) = sorted((_block(victim.data, chance), _block(victim.data, chance)))
    if two < one_ends:
        return flipped_bit(victim, chance)
    data = victim.data
    return data[:one] + data[two:two_ends] + data[one_ends:two] + data[one:one_ends] + data[two_ends:]


def lost_block(victim: Victim, chance: random.Random) -> bytes:
    start, end = _block(victim.data, chance)
    return victim.data[:start] + victim.data[end:]


def doubled_block(victim: Victim, chance: random.Random) -> bytes:
    start, end = _block(victim.data, chance)
    return victim.data[:end] + victim.data[start:]


def truncated(victim: Victim, chance: random.Random) -> bytes:
    return victim.data[: chance.randrange(len(victim.data))]


def truncated_by_little(victim: Victim, chance: random.Random) -> bytes:
    return victim.data[: -chance.randint(1, 12)]


def headless(victim: Victim, chance: random.Random) -> bytes:
    return victim.data[chance.randint(1, min(5_000, len(victim.data) - 1)) :]


def appended_garbage(victim: Victim, chance: random.Random) -> bytes:
    return victim.data + chance.choice((b"\n", b"\0", bytes(_BLOCK), chance.randbytes(chance.randint(1, 3_000))))


def twice_over(victim: Victim, _: random.Random) -> bytes:
    return victim.data + victim.data


def damaged_footer(victim: Victim, chance: random.Random) -> bytes:
    length = min(chance.choice((1, 1, 2, 8, 64)), len(victim.data) - victim.footer)
    return _put(victim.data, chance.randint(victim.footer, len(victim.data) - length), chance.randbytes(length))


def flipped_bit_in_footer(victim: Victim, chance: random.Random) -> bytes:
    return _flip(victim.data, [chance.randrange(victim.footer, len(victim.data))], chance)


def wrong_footer_length(victim: Victim, chance: random.Random) -> bytes:
    length = chance.choice((0, 1, 7, len(victim.data), 2**31 - 1, 2**32 - 1, chance.randrange(2**32)))
    return _put(victim.data, len(victim.data) - 8, length.to_bytes(4, "little"))


def wrong_magic(victim: Victim, chance: random.Random) -> bytes:
    return _put(victim.data, chance.choice((0, len(victim.data) - 4)), chance.choice((b"PARE", b"PAR2", b"\0\0\0\0")))


def damaged_page_header(victim: Victim, chance: random.Random) -> bytes:
    start = chance.choice(victim.pages) + chance.randrange(_PAGE_HEADER)
    return _put(victim.data, min(start, len(victim.data) - 4), chance.randbytes(chance.choice((1, 1, 2, 4))))


def flipped_bit_in_page_header(victim: Victim, chance: random.Random) -> bytes:
    start = chance.choice(victim.pages) + chance.randrange(_PAGE_HEADER)
    return _flip(victim.data, [min(start, len(victim.data) - 1)], chance)


def something_else(victim: Victim, chance: random.Random) -> bytes:
    page = b"<html><body>503 Service Unavailable</body></html>"
    return chance.choice((b"", b"\n", page, bytes(len(victim.data)), chance.randbytes(len(victim.data))))


DAMAGES: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        flipped_bit, flipped_bits, overwritten_range, zeroed_block, swapped_blocks, lost_block, doubled_block,
        truncated, truncated_by_little, headless, appended_garbage, twice_over, damaged_footer, flipped_bit_in_footer,
        wrong_footer_length, wrong_magic, damaged_page_header, flipped_bit_in_page_header, something_else,
    )
}  # fmt: skip


def damaged(victim: Victim, kind: str, chance: random.Random) -> bytes:
    """The bytes after one damage of this kind; never the original ones."""
    while (data := DAMAGES[kind](victim, chance)) == victim.data:
        pass
    return data


def _block(data: bytes, chance: random.Random) -> tuple[int, int]:
    length = min(chance.choice((64, 512, _BLOCK)), len(data))
    start = chance.randrange(0, max(1, len(data) - length), 1) // length * length
    return start, min(start + length, len(data))


def _put(data: bytes, start: int, new: bytes) -> bytes:
    return data[:start] + new + data[start + len(new) :]


def _flip(data: bytes, places: list[int], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)
