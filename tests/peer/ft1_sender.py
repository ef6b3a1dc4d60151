"""The sender's role: client of a push, or server of a pull or a list (PROTOCOL §7.5, the sender's table)."""

import ft1_files as files
import ft1_wire as w
from ft1_files import FileFailed
from ft1_session import AGENT, QUEUE, Link
from ft1_report import Report
from ft1_wire import CODE, Fault, violation


class Sender:
    """Client of a push, or server of a pull or a list. `sources` gives, for each want, pairs of local path and meta."""

    def __init__(self, link: Link, intent: int, report: Report, compare: int = 0, overwrite: int = 0, root: bytes = b"", sources=None):
        self.link, self.report, self.compare, self.overwrite, self.root = link, report, compare, overwrite, root
        self.intent = intent
        self.walks = []  # [want, iterator, count, failures]
        self.last_want, self.want_count, self.want_bytes = link.client, 0, 0
        self.window = (w.INITIAL_STREAMS, w.INITIAL_OFFER_BYTES)
        self.open = {}  # stream: [state, local path, meta, bytes of its OFFER, content]
        self.offer_bytes, self.last_stream = 0, 0
        self.closed = set()
        self.queue = []  # streams with content to send, in the order of their ACK1s
        self.held = None  # an entry that waits for the window
        if link.client:
            failures = []
            self.walks.append([0, sources(failures), 0, failures])
            link.send(w.hello(w.PUSH, 0, 0, AGENT))
        else:
            link.send(w.hello(w.ANSWER, 0, 0, AGENT))

    def working(self) -> bool:
        return True

    def pump(self) -> None:
        """Offers and content, as long as there is room in the queue."""
        if self.link.left or self.link.hello is None and not self.link.client:
            return
        while len(self.link.out) < QUEUE:
            if not self._offer() and not self._content():
                break
        if self.last_want and not self.walks and not self.held and all(s[0] == "ended" for s in self.open.values()):
            self.link.leave()

    def _offer(self) -> bool:
        if not self.walks:
            return False
        want, entries, _, failures = walk = self.walks[0]
        self.held = self.held or next(entries, None)
        if self.held is None:
            self.walks.pop(0)
            if want:
                self.link.send(w.done(want, walk[2], failures[0] if failures else None))
            for fault in failures:
                self.report.add("failed", (), fault)
            return True
        path, meta = self.held
        if self.intent == w.LIST:
            self.link.send(w.entry(want, meta))
        else:
            frame = w.offer(self.last_stream + 1, meta, want, self.overwrite, self.compare)
            streams, octets = self.window
            if self.open and (len(self.open) >= streams or self.offer_bytes + len(frame.payload) > octets):
                return False
            self.last_stream += 1
            self.offer_bytes += len(frame.payload)
            self.open[self.last_stream] = ["offered", path, meta, len(frame.payload), None]
            self.link.send(frame)
        walk[2] += 1
        self.held = None
        return True

    def _content(self) -> bool:
        if not self.queue:
            return False
        stream = self.queue[0]
        slot = self.open[stream]
        content = slot[4]
        try:
            at = content.position
            block = content.next()
        except FileFailed as error:
            self.link.send(w.error(stream, error.fault, content.position))
            self._close(stream, "failed", error.fault)
            return True
        if block:
            zeros = len(block) >= 65536 and not any(block)
            self.link.send(w.hole(stream, at, len(block)) if zeros else w.data(stream, at, block))
        else:
            slot[0], slot[2].root = "ended", content.end()
            self.link.send(w.end(stream, content.position, slot[2].root))
            self.queue.remove(stream)
        return True

    def _close(self, stream: int, outcome: str, reason="") -> None:
        _, _, meta, octets, content = self.open.pop(stream)
        self.offer_bytes -= octets
        self.closed.add(stream)
        if stream in self.queue:
            self.queue.remove(stream)
        if content:
            content.close()
        self.report.add(outcome, meta.path, reason)

    def on_frame(self, frame: w.Frame) -> None:
        if frame.type == w.HELLO:
            if self.link.client:
                self.window = (frame.streams, frame.offer_bytes)
            return
        if frame.type == w.WANT and not self.link.client:
            return self._on_want(frame)
        if frame.type not in (w.ACK1, w.ACK2, w.ERROR):
            raise violation("FT-11", f"{frame} to a sender")
        if frame.type == w.ERROR and frame.stream in self.closed:
            return  # FT-70
        if frame.stream not in self.open:
            raise violation("FT-28" if frame.type == w.ACK2 else "FT-20", f"{frame}: no such stream is open")
        slot = self.open[frame.stream]
        if frame.type == w.ACK1:
            if slot[0] != "offered":
                raise violation("FT-20", f"a second {frame}")
            self._on_ack1(frame, slot)
        elif frame.type == w.ACK2:
            if slot[0] != "ended":
                raise violation("FT-28", f"{frame} before END")
            self._on_ack2(frame, slot)
        else:
            if slot[0] == "offered":
                raise violation("FT-68", f"{frame} before ACK1")
            if slot[0] != "ended":
                self.link.send(w.error(frame.stream, Fault(CODE["cancelled"])))
            self._close(frame.stream, "failed", frame.fault)

    def _on_want(self, frame: w.Frame) -> None:
        self.want_count += 1
        self.want_bytes += len(frame.payload)
        if self.last_want or frame.stream != self.want_count or self.want_count > w.MAX_WANTS or self.want_bytes > w.MAX_WANT_BYTES:
            raise violation("FT-35", f"{frame}")
        self.last_want = frame.last
        failures = []
        try:
            path = files.wanted(self.root, frame.path)
            entries = files.walk(path, frame.path[-1:], frame.depth, frame.links, failures)
        except FileFailed as error:
            failures.append(error.fault)
            entries = iter(())
        self.walks.append([frame.stream, entries, 0, failures])

    def _on_ack1(self, frame: w.Frame, slot: list) -> None:
        stream, (_, path, meta, _, _) = frame.stream, slot
        if frame.verdict == w.REFUSED:
            return self._close(stream, "failed", frame.fault)
        if frame.verdict in (w.SAME_META, w.SAME_CONTENT) and (frame.offset != meta.size or meta.kind != w.FILE):
            raise violation("FT-40", f"{frame} for a size of {meta.size}")
        if frame.verdict == w.RESUME and (meta.kind != w.FILE or frame.offset >= meta.size):
            raise violation("FT-57", f"{frame} for a size of {meta.size}")
        if frame.verdict == w.SAME_META:
            slot[0], meta.root, meta.how = "ended", bytes(32), ", same by size and time"
            return
        slot[0] = "sending"
        try:
            slot[4] = files.Content(path, meta)
            if frame.verdict == w.RESUME:
                slot[4].check(frame.offset, frame.subtrees)
                meta.how = f", from byte {slot[4].position}"
            elif frame.verdict == w.SAME_CONTENT and slot[4].root() == frame.root:
                slot[4].skip(frame.root)
                meta.how = ", same by content"
        except (FileFailed, OSError) as error:
            fault = error.fault if isinstance(error, FileFailed) else Fault(CODE["io"], str(error))
            self.link.send(w.error(stream, fault))
            return self._close(stream, "failed", fault)
        self.queue.append(stream)

    def _on_ack2(self, frame: w.Frame, slot: list) -> None:
        meta = slot[2]
        if frame.root != meta.root or frame.offset != meta.size or frame.level < w.DURABLE:
            raise violation("FT-50", f"{frame} does not state what was sent")
        self._close(frame.stream, "completed", f"{meta.size} bytes{meta.how}")

    def on_goodbye(self) -> None:
        if not self.link.left or self.open:
            raise violation("FT-72", f"GOODBYE with {len(self.open)} streams open")

    def over(self) -> None:
        for stream in list(self.open):
            self._close(stream, "unknown" if self.open[stream][0] == "ended" else "failed", "the session ended")
