"""Prints the worked transcripts of docs/PROTOCOL.md §1, from real frames, one field a line.

    python3 tests/peer/transcript.py push

A line is `c2s` or `s2c`, the bytes in hexadecimal, and a comment after `;`. Bytes of one direction, joined in order,
are what that side sends.
"""

import struct
import sys

import ft1_wire as w
from ft1_hash import ROOT, UNIT, blake3, parent, subtree


ZDATA = 0x26
"""A frame that this peer can show and does not speak: it never announces the feature."""
NAMES = {**w.NAMES, ZDATA: "ZDATA"}


def line(side: str, data: bytes, comment: str) -> None:
    """Prints bytes, at most 16 a line."""
    for i in range(0, len(data), 16):
        text = data[i : i + 16].hex(" ")
        print(f"{side} {text:<48}; {comment}" if i == 0 else f"{side} {text:<48};   …")


def header(side: str, frame: w.Frame, note: str) -> None:
    data = w.encode(frame)
    print(f"; {NAMES[frame.type]}: {note}")
    line(side, data[0:4], f"length {len(frame.payload)}")
    line(side, data[4:8], f"type {NAMES[frame.type]}, flags 0, reserved 0")
    line(side, data[8:16], f"offset {frame.offset}")
    line(side, data[16:20], f"stream {frame.stream}")
    line(side, data[20:24], "CRC32C of the payload" if frame.type != w.DATA else "0: DATA has no payload checksum")
    line(side, data[24:28], "CRC32C of the 24 bytes before")


def fields(side: str, frame: w.Frame, note: str, parts: list) -> None:
    """A frame whose payload is cut into (length, comment) parts."""
    header(side, frame, note)
    at = 0
    for length, comment in parts:
        line(side, frame.payload[at : at + length], comment)
        at += length
    assert at == len(frame.payload), f"{frame}: {at} bytes annotated"


def hello_parts(frame: w.Frame, intent: str) -> list:
    _, streams, octets, _, agent = struct.unpack_from(">BIIQB", frame.payload)
    return [
        (1, f"intent {intent}"), (4, f"max_streams {streams}"), (4, f"max_offer_bytes {octets}"), (8, "features"),
        (1, f"agent: {agent} bytes"), (agent, repr(frame.payload[18:].decode())),
    ]  # fmt: skip


def preamble(side: str, note: str) -> None:
    data = w.preamble(1, 1)
    print(f"; preamble: {note}")
    line(side, data[0:8], "magic: 0x89 'FT/' CR LF 0x1a LF")
    line(side, data[8:10], "lowest version 1" if side == "c2s" else "chosen version 1 …")
    line(side, data[10:12], "highest version 1" if side == "c2s" else "… stated twice")
    line(side, data[12:16], "CRC32C of the 12 bytes before")


def push() -> None:
    """A push of hello.txt, 5 bytes."""
    content, name = b"hello", b"hello.txt"
    root = blake3(content)
    meta = w.Meta((name,), size=len(content), mode=0o644, mtime=(1704164645, 0))

    preamble("c2s", "the client offers the versions 1 to 1")
    hello = w.hello(w.PUSH, 0, 0, "peer.py")
    fields("c2s", hello, "the client has come to send, and will not receive", hello_parts(hello, "1 push"))
    fields("c2s", w.offer(1, meta, compare=w.COMPARE_QUICK), "in the same flight: here is a file, as stream 1", [
        (4, "want 0: nobody asked for it"), (1, "overwrite 0: as the receiver thinks best"),
        (1, "compare 1: equal size and time count as equal"), (1, "level 2: durable, please"),
        (1, "kind 1: file"), (2, "mode 0644"), (8, "mtime 1704164645 s: 2024-01-02 03:04:05 UTC"), (4, "mtime 0 ns"),
        (8, "size 5"), (2, "no link target"), (2, "path: 1 component"), (2, "of 9 bytes"), (9, "'hello.txt'"),
    ])  # fmt: skip
    preamble("s2c", "the server has chosen version 1")
    hello = w.hello(w.ANSWER, 12288, 2097152, "ft-cli 0.1.0")
    fields("s2c", hello, "the server's limits as a receiver", hello_parts(hello, "0: an answer"))
    fields("s2c", w.ack1(1, w.SEND), "name, policy and space are decided", [(1, "verdict 1: send all of it")])
    fields("c2s", w.data(1, 0, content), "the content", [(5, "'hello'")])
    fields("c2s", w.end(1, 5, root), "that was all of stream 1: 5 bytes, and this is their hash", [(32, "BLAKE3 root")])
    fields("c2s", w.goodbye(), "no more offers; the client shuts down its writing half here", [])
    fields("s2c", w.ack2(1, 5, w.DURABLE, root, (name,)), "verified, synced, renamed, folder synced", [
        (1, "level 2: durable"), (32, "BLAKE3 root of what is stored"), (2, "final name: 1 component"), (2, "of 9 bytes"),
        (9, "'hello.txt'"),
    ])  # fmt: skip
    fields("s2c", w.goodbye(), "all streams are answered; the server shuts down its writing half", [])


def pull() -> None:
    """A pull of the folder box, which holds the empty file e and another that cannot be read."""
    preamble("c2s", "the client offers the versions 1 to 1")
    hello = w.hello(w.PULL, 64, 65536, "peer.py")
    fields("c2s", hello, "the client has come to receive: these are its limits", hello_parts(hello, "2 pull"))
    fields("c2s", w.want(1, (b"srv", b"box"), last=True), "the only want", [
        (1, "flags 1: LAST, no WANT follows"), (1, "links 0: leave symbolic links out"),
        (2, "depth ffff: everything beneath"), (2, "path: 2 components"), (2, "of 3 bytes"), (3, "'srv'"),
        (2, "of 3 bytes"), (3, "'box'"),
    ])  # fmt: skip
    preamble("s2c", "the server has chosen version 1")
    hello = w.hello(w.ANSWER, 0, 0, "ft-cli 0.1.0")
    fields("s2c", hello, "the server will not receive in this session", hello_parts(hello, "0: an answer"))
    meta = w.Meta((b"box", b"e"), size=0, mode=0o600)
    fields("s2c", w.offer(1, meta, want=1), "an empty file; its path begins with the name of what was wanted", [
        (4, "want 1"), (1, "overwrite 0"), (1, "compare 0: none"), (1, "level 2"), (1, "kind 1: file"),
        (2, "mode 0600"), (8, "no mtime: seconds 0 …"), (4, "… and nanoseconds ffffffff"), (8, "size 0"),
        (2, "no link target"), (2, "path: 2 components"), (2, "of 3 bytes"), (3, "'box'"), (2, "of 1 byte"), (1, "'e'"),
    ])  # fmt: skip
    meta = w.Meta((b"box",), w.FOLDER, mode=0o755)
    fields("s2c", w.offer(2, meta, want=1), "the folder, after everything in it", [
        (4, "want 1"), (1, "overwrite 0"), (1, "compare 0"), (1, "level 2"), (1, "kind 2: folder"), (2, "mode 0755"),
        (8, "no mtime"), (4, ""), (8, "size 0"), (2, "no link target"), (2, "path: 1 component"), (2, "of 3 bytes"),
        (3, "'box'"),
    ])  # fmt: skip
    text = "box/secret: permission denied"
    fields("s2c", w.done(1, 2, w.Fault(w.CODE["permission"], text)), "two entries of the want, but not all", [
        (4, "2 entries were offered"), (2, "code 36: permission"), (1, "retry 0: never"), (2, f"text: {len(text)} bytes"),
        (len(text), repr(text)),
    ])  # fmt: skip
    root = blake3(b"")
    for stream, path in ((1, (b"box", b"e")), (2, (b"box",))):
        fields("c2s", w.ack1(stream, w.SEND), f"stream {stream} may come", [(1, "verdict 1: send")])
    for stream in (1, 2):
        fields("s2c", w.end(stream, 0, root), "nothing but the hash of nothing", [(32, "BLAKE3 root")])
    fields("s2c", w.goodbye(), "the sender is done and shuts down its writing half", [])
    for stream, path in ((1, (b"box", b"e")), (2, (b"box",))):
        parts = [(1, "level 2"), (32, "BLAKE3 root"), (2, f"{len(path)} component(s)")]
        for part in path:
            parts += [(2, f"of {len(part)} bytes"), (len(part), repr(part.decode()))]
        fields("c2s", w.ack2(stream, 0, w.DURABLE, root, path), f"stream {stream} is stored", parts)
    fields("c2s", w.goodbye(), "the receiver is done, too", [])


def zdata() -> None:
    """The worked example of §5.9: 200 times the letter a, as a zstd frame made by hand (RFC 8878)."""
    preamble("c2s", "as ever")
    hello = w.hello(w.PUSH, 0, 0, "peer.py", features=1)
    fields("c2s", hello, "feature bit 0: this side reads ZDATA", hello_parts(hello, "1 push"))
    zstd = bytes.fromhex("28b52ffd 20 c8 430600 61")
    frame = w.Frame(ZDATA, 1, 0, struct.pack(">I", 200) + zstd)
    fields("c2s", frame, "200 bytes of content in 10 (OFFER is left out here, and what the server says)", [
        (4, "content: 200 bytes"), (4, "zstd: magic"), (1, "one segment, its length in a byte"), (1, "length 200"),
        (3, "last block, run-length, 200 bytes"), (1, "'a'"),
    ])  # fmt: skip


def resume() -> None:
    """The worked example of §6.3."""
    length = 5 * UNIT + 3
    content = (bytes(range(251)) * (length // 251 + 1))[:length]
    known = {}

    def value(first: int, last: int, data: bytes) -> None:
        known[first, last] = subtree(data, first * 1024)
        print(f"{first}..{last} MiB    {known[first, last].hex()}")

    def merge(first: int, middle: int, last: int) -> None:
        known[first, last] = parent(known[first, middle], known[middle, last])
        print(f"{first}..{last} = {first}..{middle} + {middle}..{last}    {known[first, last].hex()}")

    for i in range(5):
        value(i, i + 1, content[i * UNIT : (i + 1) * UNIT])
    known[5, 6] = subtree(content[5 * UNIT :], 5 * 1024)
    print(f"5..end (3 bytes)    {known[5, 6].hex()}")
    merge(0, 1, 2)
    merge(2, 3, 4)
    merge(0, 2, 4)
    known[4, 6] = parent(known[4, 5], known[5, 6])
    print(f"4..end = 4..5 + 5..end    {known[4, 6].hex()}")
    root = parent(known[0, 4], known[4, 6], ROOT)
    assert root == blake3(content)
    print(f"root = 0..4 + 4..end, with ROOT    {root.hex()}")


if __name__ == "__main__":
    {"push": push, "pull": pull, "zdata": zdata, "resume": resume}[sys.argv[1]]()
