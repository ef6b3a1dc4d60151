"""Frames of ft/1 to and from bytes, from docs/PROTOCOL.md alone. Section numbers are the document's."""

import struct
from dataclasses import dataclass, field

from ft1_hash import crc32c, decompose

# --- Limits (§9) -----------------------------------------------------------------------------------------------------

MAX_CONTROL = 16384
MAX_DATA = 1 << 20
MAX_HOLE = 16 << 20
MAX_FILE = (1 << 63) - 1
MAX_COMPONENT = 255
MAX_PATH = 4096
MAX_DEPTH = 128
MAX_TARGET = 4096
MAX_TEXT = 512
MAX_AGENT = 64
MAX_SUBTREES = 43
MAX_WANTS = 4096
MAX_WANT_BYTES = 1 << 20
INITIAL_STREAMS = 256
INITIAL_OFFER_BYTES = 32768
MIN_OFFER_BYTES = MAX_CONTROL

# --- Numbers ---------------------------------------------------------------------------------------------------------

MAGIC = b"\x89FT/\r\n\x1a\n"
VERSION = 1

HELLO, ERROR, GOODBYE = 0x01, 0x02, 0x03
WANT, DONE, ENTRY = 0x10, 0x11, 0x12
OFFER, ACK1, DATA, HOLE, END, ACK2 = 0x20, 0x21, 0x22, 0x23, 0x24, 0x25
ALIVE = 0x80
NAMES = {
    HELLO: "HELLO", ERROR: "ERROR", GOODBYE: "GOODBYE", WANT: "WANT", DONE: "DONE", ENTRY: "ENTRY", OFFER: "OFFER",
    ACK1: "ACK1", DATA: "DATA", HOLE: "HOLE", END: "END", ACK2: "ACK2", ALIVE: "ALIVE",
}  # fmt: skip

ANSWER, PUSH, PULL, LIST = 0, 1, 2, 3
FILE, FOLDER, LINK = 1, 2, 3
SEND, RESUME, SAME_META, SAME_CONTENT, REFUSED = 1, 2, 3, 4, 5
CACHED, DURABLE = 1, 2
COMPARE_NONE, COMPARE_QUICK, COMPARE_CONTENT = 0, 1, 2
OVERWRITE_DEFAULT, OVERWRITE_NEVER, OVERWRITE_REPLACE, OVERWRITE_KEEP_BOTH = 0, 1, 2, 3
LINKS_SKIP, LINKS_KEEP, LINKS_FOLLOW = 0, 1, 2
EVERYTHING = 0xFFFF
NEVER, LATER, NOW = 0, 1, 2

CODES = {
    1: "unsupported-version", 2: "malformed", 3: "violation", 4: "limit-exceeded", 5: "forbidden", 6: "busy",
    7: "shutting-down", 8: "timed-out", 9: "internal", 32: "bad-name", 33: "exists", 34: "no-space", 35: "not-found",
    36: "permission", 37: "wrong-kind", 38: "too-large", 39: "io", 40: "changed", 41: "integrity", 42: "cancelled",
    43: "not-wanted", 44: "unsafe-path", 45: "unsupported-kind", 46: "name-busy",
}  # fmt: skip
CODE = {name: number for number, name in CODES.items()}

_NO_MODE, _NO_NANOS, _NO_SIZE = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


class SessionFailed(Exception):
    """The session cannot go on. `code` is what the peer is told; None where it is gone or said it first."""

    def __init__(self, code, text, retry=NEVER):
        super().__init__(text)
        self.code, self.text, self.retry = code, text, retry


class BadName(Exception):
    """A path that no file can have (FT-15); in an OFFER that costs only this file (FT-52)."""


def malformed(text: str) -> SessionFailed:
    return SessionFailed(CODE["malformed"], text)


def violation(rule: str, text: str) -> SessionFailed:
    return SessionFailed(CODE["violation"], f"{rule}: {text}")


# --- Values ----------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """Why a stream, a want or a session failed (§8)."""

    code: int
    text: str = ""
    retry: int = NEVER

    def __str__(self):
        return f"{CODES.get(self.code, f'code {self.code}')}: {self.text!r}"


@dataclass
class Meta:
    """Name and metadata (§5.3). None: the sender does not know."""

    path: tuple = ()
    kind: int = FILE
    size: int | None = 0
    mode: int | None = None
    mtime: tuple | None = None
    target: bytes = b""
    root: bytes = b""  # not on the wire: what END stated
    how: str = ""  # not on the wire: where content went on, or why none was sent; for the report


@dataclass
class Frame:
    """A frame, header and payload; which of the fields count depends on `type`."""

    type: int
    stream: int = 0
    offset: int = 0
    payload: bytes = b""
    values: dict = field(default_factory=dict)

    def __getattr__(self, name):
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __str__(self):
        return f"{NAMES.get(self.type, hex(self.type))} stream {self.stream} offset {self.offset} {len(self.payload)} bytes"


# --- Preamble (§3) ---------------------------------------------------------------------------------------------------


def preamble(low: int, high: int) -> bytes:
    head = MAGIC + struct.pack(">HH", low, high)
    return head + struct.pack(">I", crc32c(head))


def read_preamble(data: bytes) -> tuple:
    """Lowest and highest version of 16 bytes."""
    if data[:8] != MAGIC:
        raise SessionFailed(None, f"the peer does not speak ft: it began with {data!r}")
    low, high, crc = struct.unpack(">HHI", data[8:])
    if crc != crc32c(data[:12]):
        raise malformed("the preamble's checksum is wrong")
    if not 1 <= low <= high:
        raise malformed(f"version range {low} to {high}")
    return low, high


# --- Frame header (§4) -----------------------------------------------------------------------------------------------


def header(length: int, kind: int, offset: int, stream: int, crc: int) -> bytes:
    head = struct.pack(">IBBHQII", length, kind, 0, 0, offset, stream, crc)
    return head + struct.pack(">I", crc32c(head))


def encode(frame: Frame) -> bytes:
    """Header and payload."""
    crc = 0 if frame.type == DATA else crc32c(frame.payload)
    return header(len(frame.payload), frame.type, frame.offset, frame.stream, crc) + frame.payload


def read_header(data: bytes) -> tuple:
    """Length, type, offset, stream and payload checksum of 28 bytes, in the order of checks that §4 asks for."""
    length, kind, flags, reserved, offset, stream, crc, own = struct.unpack(">IBBHQIII", data)
    if own != crc32c(data[:24]):
        raise malformed("FT-2: the header's checksum is wrong")
    if flags or reserved:
        raise malformed(f"FT-5: flags {flags:#x}, reserved {reserved:#x}")
    if kind == DATA:
        if not 1 <= length <= MAX_DATA:
            raise malformed(f"FT-3: DATA of {length} bytes")
    elif length > MAX_CONTROL:
        raise malformed(f"FT-3: a payload of {length} bytes, at most {MAX_CONTROL} are allowed")
    if offset > MAX_FILE:
        raise malformed(f"FT-8: offset {offset}")
    if kind not in NAMES and kind < 0x80:
        raise malformed(f"FT-4: unknown critical frame type {kind:#04x}")
    return length, kind, offset, stream, crc


# --- Payloads (§5) ---------------------------------------------------------------------------------------------------


class Reader:
    """Takes fields off a payload."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise malformed("FT-7: a field runs past the end of the payload")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, kind: str) -> int:
        return struct.unpack(">" + kind, self.take(struct.calcsize(kind)))[0]

    def one_of(self, what: str, allowed) -> int:
        value = self.number("B")
        if value not in allowed:
            raise malformed(f"FT-8: {what} {value}")
        return value

    def text(self) -> str:
        length = self.number("H")
        if length > MAX_TEXT:
            raise malformed(f"a text of {length} bytes, at most {MAX_TEXT} are allowed")
        return self.take(length).decode("utf-8", "backslashreplace")

    def path(self) -> tuple:
        count = self.number("H")
        path = tuple(self.take(self.number("H")) for _ in range(count))
        check_path(path)
        return path

    def meta(self) -> Meta:
        kind = self.one_of("kind", (FILE, FOLDER, LINK))
        mode = self.number("H")
        if mode != _NO_MODE and mode > 0o777:
            raise malformed(f"mode {mode:o}")
        secs, nanos = self.number("q"), self.number("I")
        if nanos == _NO_NANOS and secs != 0 or nanos != _NO_NANOS and nanos >= 10**9:
            raise malformed(f"modification time {secs} s {nanos} ns")
        size = self.number("Q")
        if size == _NO_SIZE and kind != FILE or size != _NO_SIZE and size > (MAX_FILE if kind == FILE else 0):
            raise malformed(f"size {size} of kind {kind}")
        length = self.number("H")
        if not (1 <= length <= MAX_TARGET if kind == LINK else length == 0):
            raise malformed(f"a link target of {length} bytes for kind {kind}")
        target = self.take(length)
        return Meta(
            kind=kind,
            mode=None if mode == _NO_MODE else mode,
            mtime=None if nanos == _NO_NANOS else (secs, nanos),
            size=None if size == _NO_SIZE else size,
            target=target,
            path=self.path(),
        )

    def end(self) -> None:
        if self.at != len(self.data):
            raise malformed(f"FT-7: {len(self.data) - self.at} bytes left over in a payload")


def check_path(path: tuple) -> None:
    """§6.1."""
    if len(path) > MAX_DEPTH or sum(map(len, path)) + max(len(path) - 1, 0) > MAX_PATH:
        raise BadName("a path too long or too deep")
    for part in path:
        if part in (b"", b".", b"..") or len(part) > MAX_COMPONENT or b"/" in part or b"\0" in part:
            raise BadName(f"path component {part!r}")


def _text(text: str) -> bytes:
    data = text.encode()[:MAX_TEXT].decode("utf-8", "ignore").encode()
    return struct.pack(">H", len(data)) + data


def _path(path: tuple) -> bytes:
    return struct.pack(">H", len(path)) + b"".join(struct.pack(">H", len(part)) + part for part in path)


def _meta(meta: Meta) -> bytes:
    mode = _NO_MODE if meta.mode is None else meta.mode
    secs, nanos = meta.mtime or (0, _NO_NANOS)
    size = _NO_SIZE if meta.size is None else meta.size
    head = struct.pack(">BHqIQH", meta.kind, mode, secs, nanos, size, len(meta.target))
    return head + meta.target + _path(meta.path)


def hello(intent: int, streams: int, offer_bytes: int, agent: str, features: int = 0) -> Frame:
    name = agent.encode()
    return Frame(HELLO, payload=struct.pack(">BIIQB", intent, streams, offer_bytes, features, len(name)) + name)


def error(stream: int, fault: Fault, offset: int = 0) -> Frame:
    return Frame(ERROR, stream, offset, struct.pack(">HB", fault.code, fault.retry) + _text(fault.text))


def goodbye() -> Frame:
    return Frame(GOODBYE)


def want(number: int, path: tuple, depth: int = EVERYTHING, links: int = LINKS_SKIP, last: bool = False) -> Frame:
    return Frame(WANT, number, payload=struct.pack(">BBH", int(last), links, depth) + _path(path))


def done(number: int, count: int, fault: Fault | None = None) -> Frame:
    fault = fault or Fault(0)
    return Frame(DONE, number, payload=struct.pack(">IHB", count, fault.code, fault.retry) + _text(fault.text))


def entry(number: int, meta: Meta) -> Frame:
    return Frame(ENTRY, number, payload=_meta(meta))


def offer(stream: int, meta: Meta, want: int = 0, overwrite: int = 0, compare: int = 0, level: int = DURABLE) -> Frame:
    return Frame(OFFER, stream, payload=struct.pack(">IBBB", want, overwrite, compare, level) + _meta(meta))


def ack1(stream: int, verdict: int, offset: int = 0, subtrees=(), root: bytes = b"", fault: Fault | None = None) -> Frame:
    body = bytes([verdict])
    if verdict == RESUME:
        body += bytes([len(subtrees)]) + b"".join(subtrees)
    elif verdict == SAME_CONTENT:
        body += root
    elif verdict == REFUSED:
        body += struct.pack(">HB", fault.code, fault.retry) + _text(fault.text)
    return Frame(ACK1, stream, offset, body)


def data(stream: int, offset: int, content: bytes) -> Frame:
    return Frame(DATA, stream, offset, content)


def hole(stream: int, offset: int, length: int) -> Frame:
    return Frame(HOLE, stream, offset, struct.pack(">Q", length))


def end(stream: int, size: int, root: bytes) -> Frame:
    return Frame(END, stream, size, root)


def ack2(stream: int, size: int, level: int, root: bytes, path: tuple) -> Frame:
    return Frame(ACK2, stream, size, bytes([level]) + root + _path(path))


def alive(stream: int = 0, offset: int = 0) -> Frame:
    return Frame(ALIVE, stream, offset)


# Which of the header's own fields a type uses (§4); the others are 0.
_USES_STREAM = {ERROR, WANT, DONE, ENTRY, OFFER, ACK1, DATA, HOLE, END, ACK2, ALIVE}
_USES_OFFSET = {ERROR, ACK1, DATA, HOLE, END, ACK2, ALIVE}
_NEEDS_STREAM = {WANT, DONE, ENTRY, OFFER, ACK1, DATA, HOLE, END, ACK2}


def decode(kind: int, stream: int, offset: int, crc: int, payload: bytes) -> Frame:
    """A known frame whose header was read, with its fields in `values`."""
    if kind == DATA:
        if crc != 0:
            raise malformed("FT-5: DATA carries no payload checksum")
    elif crc != crc32c(payload):
        raise malformed("FT-6: the payload's checksum is wrong")
    if stream and kind not in _USES_STREAM or offset and kind not in _USES_OFFSET:
        raise malformed(f"FT-5: unused header fields of {NAMES[kind]} are not 0")
    if stream == 0 and kind in _NEEDS_STREAM:
        raise malformed(f"FT-5: {NAMES[kind]} with stream 0")
    frame = Frame(kind, stream, offset, payload)
    try:
        _fields(frame)
    except BadName as error:
        if kind != OFFER:
            raise malformed(f"FT-15: {error}") from None
        frame.values["bad_name"] = str(error)
    return frame


def _fields(frame: Frame) -> None:
    """Takes the payload apart."""
    kind, offset, payload = frame.type, frame.offset, frame.payload
    if kind == DATA:
        if offset + len(payload) > MAX_FILE:
            raise malformed("FT-25: content past the largest file")
        frame.values["length"] = len(payload)
        return
    r = Reader(payload)
    v = frame.values
    if kind == HELLO:
        v["intent"] = r.one_of("intent", (ANSWER, PUSH, PULL, LIST))
        v["streams"], v["offer_bytes"], v["features"] = r.number("I"), r.number("I"), r.number("Q")
        length = r.number("B")
        if length > MAX_AGENT:
            raise malformed(f"an agent of {length} bytes")
        v["agent"] = r.take(length).decode("utf-8", "backslashreplace")
        return  # a later version may append
    if kind == ERROR:
        code, retry = r.number("H"), r.number("B")
        if retry > NOW:
            raise malformed(f"FT-8: retry {retry}")
        v["fault"] = Fault(code, r.text(), retry)
        return  # a later version may append
    if kind == WANT:
        flags = r.number("B")
        if flags & ~1:
            raise malformed(f"FT-8: flags {flags:#x} of WANT")
        v["last"] = bool(flags & 1)
        v["links"] = r.one_of("links", (0, 1, 2))
        v["depth"], v["path"] = r.number("H"), r.path()
    elif kind == DONE:
        v["count"] = r.number("I")
        code, retry = r.number("H"), r.one_of("retry", (0, 1, 2))
        fault = Fault(code, r.text(), retry)
        v["fault"] = fault if code else None
    elif kind == ENTRY:
        v["meta"] = r.meta()
        if not v["meta"].path:
            raise malformed("ENTRY without a name")
    elif kind == OFFER:
        v["want"] = r.number("I")
        v["overwrite"] = r.one_of("overwrite", (0, 1, 2, 3))
        v["compare"] = r.one_of("compare", (0, 1, 2))
        v["level"] = r.one_of("level", (CACHED, DURABLE))
        v["meta"] = r.meta()
        if not v["meta"].path:
            raise BadName("no component")
    elif kind == ACK1:
        v["verdict"] = r.one_of("verdict", (SEND, RESUME, SAME_META, SAME_CONTENT, REFUSED))
        if v["verdict"] == RESUME:
            count = r.number("B")
            if offset == 0 or offset > MAX_FILE or offset % (1 << 20) or count not in (0, len(decompose(offset))):
                raise malformed(f"ACK1 resume of {offset} bytes with {count} hashes")
            v["subtrees"] = [r.take(32) for _ in range(count)]
        elif v["verdict"] == SAME_CONTENT:
            v["root"] = r.take(32)
        elif v["verdict"] == REFUSED:
            code, retry = r.number("H"), r.one_of("retry", (0, 1, 2))
            v["fault"] = Fault(code, r.text(), retry)
        if offset and v["verdict"] in (SEND, REFUSED):
            raise malformed("FT-5: ACK1 send and refused have offset 0")
    elif kind == HOLE:
        v["length"] = r.number("Q")
        if not 1 <= v["length"] <= MAX_HOLE or offset + v["length"] > MAX_FILE:
            raise malformed(f"HOLE of {v['length']} bytes at {offset}")
    elif kind == END:
        v["root"] = r.take(32)
    elif kind == ACK2:
        v["level"] = r.one_of("level", (CACHED, DURABLE))
        v["root"], v["path"] = r.take(32), r.path()
        if not v["path"]:
            raise malformed("ACK2 without a name")
    r.end()

