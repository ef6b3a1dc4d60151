"""A session of ft/1: one connection, one sender, one receiver (PROTOCOL §7).

`Link` moves bytes, frames and deadlines; the roles are in `ft1_sender` and `ft1_receiver`. All in one thread: a loop that
reads whenever something comes, even while its own writing is blocked (FT-65).
"""

import select
import socket
import struct
import time

import ft1_wire as w
from ft1_wire import CODE, Fault, SessionFailed, violation

IDLE = 60.0  # seconds without a byte in either direction (FT-73)
BREATH = 10.0  # seconds of silence after which ALIVE is sent (FT-74)
LINGER_BYTES = 16 << 20
QUEUE = 1 << 20
AGENT = "ft1_peer.py 1"


class Link:
    """One connection: preambles, frames in and out, and its end."""

    def __init__(self, sock: socket.socket, client: bool, cut_after: int = 0):
        self.sock, self.client = sock, client
        self.cut_after, self.moved = cut_after, 0
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.into = bytearray(), bytearray()
        self.versions = None
        self.header = None
        self.hello = None
        self.left = self.peer_left = self.shut = False
        if client:
            self.out += w.preamble(w.VERSION, w.VERSION)

    def send(self, frame: w.Frame) -> None:
        self.out += w.encode(frame)

    def leave(self) -> None:
        """GOODBYE; the writing half is shut down when everything is written."""
        self.send(w.goodbye())
        self.left = True

    def run(self, role_of) -> None:
        """Until both sides have said GOODBYE and the stream has ended. `role_of(hello)` gives the role to play."""
        role = role_of(None) if self.client else None
        try:
            moved = spoke = time.monotonic()
            while True:
                if role:
                    role.pump()
                if self.left and not self.out and not self.shut:
                    self.sock.shutdown(socket.SHUT_WR)
                    self.shut = True
                readable, writable, _ = select.select([self.sock], [self.sock] if self.out else [], [], 1.0)
                now = time.monotonic()
                if writable:
                    sent = self.sock.send(self.out[:QUEUE])
                    del self.out[:sent]
                    moved = spoke = now
                    self._count(sent)
                if readable:
                    data = self.sock.recv(QUEUE)
                    moved = now
                    if not data:
                        if not self.peer_left or self.into:
                            raise SessionFailed(None, "FT-33: the stream ended without GOODBYE", w.NOW)
                        if self.left and not self.out:
                            return
                        if self.left:
                            continue
                        raise SessionFailed(None, "the stream ended before this side was done", w.NOW)
                    self._count(len(data))
                    self.into += data
                    while frame := self._next():
                        if frame.type == w.HELLO:
                            role = role or role_of(frame)
                        self._judge(frame, role)
                if self.left and self.peer_left and self.shut:
                    self._drain()
                    return
                if role and self.versions and not self.left and now - spoke > BREATH and role.working():
                    self.send(w.alive())
                if now - moved > IDLE:
                    raise SessionFailed(CODE["timed-out"], f"nothing moved for {IDLE:.0f} s", w.NOW)
        except SessionFailed as error:
            self._fail(error)
            raise
        except OSError as error:
            if not (self.left and self.peer_left):
                raise SessionFailed(None, f"the connection failed: {error}", w.NOW) from None
        finally:
            if role:
                role.over()
            self.sock.close()

    def _count(self, moved: int) -> None:
        """For tests: acts like a connection that breaks after so many bytes."""
        self.moved += moved
        if self.cut_after and self.moved >= self.cut_after:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise OSError(f"cut after {self.moved} bytes")

    def _next(self):
        """The next whole frame; None when more bytes are needed."""
        if self.versions is None:
            if self.into[:8] != w.MAGIC[: len(self.into)]:
                w.read_preamble(bytes(self.into))
            if len(self.into) < 16:
                return None
            self.versions = w.read_preamble(bytes(self.into[:16]))
            del self.into[:16]
            low, high = self.versions
            if not self.client:
                self.out += w.preamble(w.VERSION, w.VERSION)
            if not low <= w.VERSION <= high or self.client and low != high:
                raise SessionFailed(CODE["unsupported-version"], f"the peer speaks {low} to {high}, not {w.VERSION}")
        if self.peer_left and self.into:
            raise violation("FT-31", "bytes after GOODBYE")
        while True:
            if self.header is None:
                if len(self.into) < 28:
                    return None
                self.header = w.read_header(bytes(self.into[:28]))
                del self.into[:28]
            length, kind, offset, stream, crc = self.header
            if len(self.into) < length:
                return None
            payload = bytes(self.into[:length])
            del self.into[:length]
            self.header = None
            if kind in w.NAMES:
                return w.decode(kind, stream, offset, crc, payload)

    def _judge(self, frame: w.Frame, role) -> None:
        """What concerns the session; the rest is the role's."""
        if frame.type == w.ERROR and frame.stream == 0:
            raise SessionFailed(None, f"the peer ended the session: {frame.fault}", frame.fault.retry)
        if (frame.type == w.HELLO) != (self.hello is None):
            raise violation("FT-10", f"{frame} {'before' if self.hello is None else 'after'} HELLO")
        if frame.type == w.HELLO:
            if self.client != (frame.intent == w.ANSWER):
                raise violation("FT-11", f"intent {frame.intent}")
            self.hello = frame
        if frame.type == w.GOODBYE:
            role.on_goodbye()
            self.peer_left = True
        elif frame.type != w.ALIVE:
            role.on_frame(frame)

    def _fail(self, error: SessionFailed) -> None:
        """Last words (§7.6), as far as the peer can hear them."""
        try:
            if error.code is not None and not self.left:
                self.send(w.error(0, Fault(error.code, error.text, error.retry)))
            self.sock.settimeout(5)
            if not self.shut:
                if error.code is not None:
                    self.sock.sendall(self.out)
                self.sock.shutdown(socket.SHUT_WR)
            self._drain()
        except OSError:
            pass

    def _drain(self) -> None:
        """Reads to the end of the stream, within bounds (FT-34)."""
        self.sock.settimeout(5)
        left = LINGER_BYTES
        try:
            while left > 0 and (data := self.sock.recv(65536)):
                left -= len(data)
        except OSError:
            pass
