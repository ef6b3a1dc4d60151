"""CRC32C and BLAKE3 for the ft/1 peer, from the appendices of docs/PROTOCOL.md and the standard library alone.

BLAKE3 hashes 1 KiB chunks that do not depend on each other. Python's own integers are the SIMD registers here: one big
integer holds the same 32-bit state word of up to 1,024 chunks, each in a lane of 64 bits, so that one addition, one
exclusive-or or one shift works on all of them. That makes pure Python fast enough (10 MiB in about a second).
"""

import sys
from array import array

# --- CRC32C (PROTOCOL appendix A) ------------------------------------------------------------------------------------

_CRC_TABLE = []
for _n in range(256):
    _c = _n
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    _CRC_TABLE.append(_c)


def crc32c(data: bytes) -> int:
    """CRC32C (Castagnoli) of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# --- BLAKE3 (PROTOCOL appendix B) ------------------------------------------------------------------------------------

CHUNK = 1024
UNIT = 1024 * 1024  # the unit of resume, a complete subtree of 1,024 chunks

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _PARENT, ROOT = 1, 2, 4, 8

_SCHEDULE = [tuple(range(16))]
for _ in range(6):
    _SCHEDULE.append(tuple(_SCHEDULE[-1][i] for i in _PERMUTATION))

# Which state words each of the eight mixings of a round takes: four columns, then four diagonals.
_MIXINGS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip

_ONES = {}


def _ones(lanes: int) -> int:
    """The value 1 in each of `lanes` lanes."""
    if lanes not in _ONES:
        _ONES[lanes] = int.from_bytes(b"\x01\0\0\0\0\0\0\0" * lanes, "little")
    return _ONES[lanes]


def _lanes(words: array) -> int:
    """32-bit words, one in each 64-bit lane of one integer."""
    wide = array("Q", words)
    if sys.byteorder == "big":
        wide.byteswap()
    return int.from_bytes(wide.tobytes(), "little")


def _unlanes(value: int, lanes: int) -> array:
    wide = array("Q")
    wide.frombytes(value.to_bytes(8 * lanes, "little"))
    if sys.byteorder == "big":
        wide.byteswap()
    return array("I", wide)


def _words(data: bytes) -> array:
    """Bytes as little-endian 32-bit words."""
    words = array("I")
    assert words.itemsize == 4
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _compress(cv: list, block: list, counter_low: int, counter_high: int, length: int, flags: int, lanes: int) -> list:
    """The compression function on `lanes` inputs at once; every argument but `length`, `flags` is laned."""
    one = _ones(lanes)
    mask = one * 0xFFFFFFFF
    v = list(cv) + [one * word for word in _IV[:4]] + [counter_low, counter_high, one * length, one * flags]
    for schedule in _SCHEDULE:
        order = iter(schedule)
        for a, b, c, d in _MIXINGS:
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + block[next(order)]) & mask
            x = vd ^ va
            vd = ((x >> 16) | (x << 16)) & mask
            vc = (vc + vd) & mask
            x = vb ^ vc
            vb = ((x >> 12) | (x << 20)) & mask
            va = (va + vb + block[next(order)]) & mask
            x = vd ^ va
            vd = ((x >> 8) | (x << 24)) & mask
            vc = (vc + vd) & mask
            x = vb ^ vc
            vb = ((x >> 7) | (x << 25)) & mask
            v[a], v[b], v[c], v[d] = va, vb, vc, vd
    return [v[i] ^ v[i + 8] for i in range(8)]


def _pack(cv: list) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in cv)


def _whole_chunks(data: bytes, first: int) -> list:
    """Chaining values of complete chunks; `first` is the number of the first one in the file."""
    count = len(data) // CHUNK
    if count == 0:
        return []
    words = _words(data[: count * CHUNK])
    one = _ones(count)
    numbers = range(first, first + count)
    low = _lanes(array("I", (n & 0xFFFFFFFF for n in numbers)))
    high = _lanes(array("I", (n >> 32 for n in numbers)))
    cv = [one * word for word in _IV]
    for number in range(16):
        block = [_lanes(words[16 * number + i :: 256]) for i in range(16)]
        flags = (_CHUNK_START if number == 0 else 0) | (_CHUNK_END if number == 15 else 0)
        cv = _compress(cv, block, low, high, 64, flags, count)
    columns = [_unlanes(word, count) for word in cv]
    return [_pack(column[i] for column in columns) for i in range(count)]


def _one_chunk(data: bytes, number: int, root: int) -> bytes:
    """Chaining value (or root) of a single chunk of 0 to 1,024 bytes."""
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    cv = list(_IV)
    for i, block in enumerate(blocks):
        flags = (_CHUNK_START if i == 0 else 0) | (_CHUNK_END | root if i == len(blocks) - 1 else 0)
        words = list(_words(block.ljust(64, b"\0")))
        cv = _compress(cv, words, number & 0xFFFFFFFF, number >> 32, len(block), flags, 1)
    return _pack(cv)


def parent(left: bytes, right: bytes, root: int = 0) -> bytes:
    """Chaining value of two neighbours; with `ROOT`, the root."""
    return _pack(_compress(list(_IV), list(_words(left + right)), 0, 0, 64, _PARENT | root, 1))


def _parents(values: list) -> list:
    """One level up: neighbours merged two by two, an odd last one carried."""
    pairs = len(values) // 2
    words = _words(b"".join(values[: 2 * pairs]))
    one = _ones(pairs)
    block = [_lanes(words[i::16]) for i in range(16)]
    cv = _compress([one * word for word in _IV], block, 0, 0, 64, _PARENT, pairs)
    columns = [_unlanes(word, pairs) for word in cv]
    merged = [_pack(column[i] for column in columns) for i in range(pairs)]
    return merged + values[2 * pairs :]


def subtree(data: bytes, first: int) -> bytes:
    """Chaining value of a subtree of one chunk or more that begins at chunk `first`; never a root."""
    values = _whole_chunks(data, first)
    rest = data[len(values) * CHUNK :]
    if rest or not values:
        values.append(_one_chunk(rest, first + len(values), 0))
    while len(values) > 1:
        values = _parents(values)
    return values[0]


def decompose(length: int) -> list:
    """Lengths of the subtrees that state a prefix of whole MiB, largest first (PROTOCOL §6.3)."""
    units = length // UNIT
    return [UNIT << bit for bit in reversed(range(units.bit_length())) if units >> bit & 1]


class Hasher:
    """BLAKE3 of a file from its beginning, or from a stated prefix on."""

    def __init__(self, prefix: int = 0, subtrees: tuple = ()):
        lengths = decompose(prefix)
        assert len(lengths) == len(subtrees), "one chaining value for each bit"
        self.stack = list(zip(subtrees, lengths))  # complete subtrees, left to right, each larger than the next
        self.done = prefix
        self.open = bytearray()  # the last 1..=UNIT bytes: a full one waits, since the last merge must be the root's

    def length(self) -> int:
        """Bytes hashed so far, a prefix included."""
        return self.done + len(self.open)

    def update(self, data: bytes) -> None:
        """Adds the next bytes."""
        self.open += data
        while len(self.open) > UNIT:
            self._finish_unit()

    def zeros(self, length: int) -> None:
        """Adds `length` zero bytes."""
        while length > 0:
            piece = min(length, UNIT)
            self.update(bytes(piece))
            length -= piece

    def prefix(self) -> tuple:
        """Length and chaining values that state the whole MiB hashed so far; ends the hashing of this object."""
        if len(self.open) == UNIT:
            self._finish_unit()
        return self.done, [value for value, _ in self.stack]

    def _finish_unit(self) -> None:
        self.stack.append((subtree(bytes(self.open[:UNIT]), self.done // CHUNK), UNIT))
        del self.open[:UNIT]
        self.done += UNIT
        while len(self.stack) > 1 and self.stack[-1][1] == self.stack[-2][1]:
            (right, length), (left, _) = self.stack.pop(), self.stack.pop()
            self.stack.append((parent(left, right), 2 * length))

    def root(self) -> bytes:
        """The hash of the whole, 32 bytes."""
        data, first = bytes(self.open), self.done // CHUNK
        values = _whole_chunks(data, first)
        rest = data[len(values) * CHUNK :]
        if not self.stack and len(data) <= CHUNK:
            return _one_chunk(data, first, ROOT)
        if rest:
            values.append(_one_chunk(rest, first + len(values), 0))
        # Merge the open unit, and then with the stack from the right; the very last merge is the root's.
        while len(values) > 2 or (len(values) == 2 and self.stack):
            values = _parents(values)
        for left, _ in reversed(self.stack[1:]):
            values = [parent(left, values[0])]
        left, right = values if not self.stack else (self.stack[0][0], values[0])
        return parent(left, right, ROOT)


def blake3(data: bytes) -> bytes:
    """BLAKE3 of a whole content."""
    hasher = Hasher()
    hasher.update(data)
    return hasher.root()


# --- Self-test -------------------------------------------------------------------------------------------------------

# BLAKE3 of the bytes 0, 1, … 250, 0, 1, … of these lengths: around every boundary of block, chunk, subtree and unit.
_VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    3: "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f",
    63: "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b",
    64: "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98",
    65: "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
    2048: "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
    2049: "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
    3072: "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2",
    3073: "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3",
    4096: "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969",
    4097: "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995",
    5120: "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833",
    31744: "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
    65535: "de7d0f4c044c56f56e0c5f7ab247be9491c4520e8688f0f0d25406f46fdfbd03",
    65536: "68d647e619a930e7b1082f74f334b0c65a315725569bdc123f0ee11881717bfe",
    65537: "7c99f9840a73dfcb6e5bfe4ff6d1558acab7e015640790c26411818bdbe17eca",
    102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
    1048576: "74cb441fd087764ca9c3694da742ebe30cbeb3060a17009ca81825c7a8d10343",
    1048577: "2f053cd7472cf0cd2f9adaf45c1180255b91b9a865404a63671a0ee5f792ed33",
    3145728: "c9e03344ea01f416e5fd2c4aa87b32f2b13e731d034be31898de3ce251926b1c",
    5242887: "4ad8fff7183fb6486dc1a2d368d5bd3daa4f8fca845648ec36b78934559989cd",
    10485760: "84e1593352403358f61a898d41fbee5bbb71967b0499f79b31542f33a2ab68c5",
}


def main() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    pattern = bytes(range(251))
    for length, expected in _VECTORS.items():
        content = (pattern * (length // 251 + 1))[:length]
        assert blake3(content).hex() == expected, f"BLAKE3 of {length} bytes"
        for kept in range(UNIT, min(length, 6 * UNIT), 2 * UNIT):
            head = Hasher()
            head.update(content[:kept])
            rest = Hasher(*head.prefix())
            rest.update(content[kept:])
            assert rest.root().hex() == expected, f"BLAKE3 of {length} bytes, resumed at {kept}"
    print(f"crc32c and blake3: {len(_VECTORS)} lengths agree")


if __name__ == "__main__":
    main()
