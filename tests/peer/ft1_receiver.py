"""The receiver's role: server of a push, or client of a pull or a list (PROTOCOL §7.5, the receiver's table)."""

import os

import ft1_wire as w
from ft1_files import FileFailed, Landing
from ft1_report import Report
from ft1_session import AGENT, Link
from ft1_wire import Fault, violation

STREAMS, OFFER_BYTES = 1024, 256 * 1024


class Receiver:
    """Lands what is offered beneath `root`; in a list, prints the entries."""

    def __init__(self, link: Link, intent: int, report: Report, root: bytes, wants: tuple = ()):
        self.link, self.intent, self.report, self.root = link, intent, report, root
        self.wants = dict(enumerate(wants, 1))
        self.counts = dict.fromkeys(self.wants, 0)
        self.open = {}  # stream: ["receiving" | "draining" | "waiting", landing, bytes of its OFFER, its END's root]
        self.last_stream, self.offer_bytes = 0, 0
        self.current = None  # the stream whose content is on the wire (FT-22)
        link.send(w.hello(intent if link.client else w.ANSWER, STREAMS, OFFER_BYTES, AGENT))
        for number, path in self.wants.items():
            link.send(w.want(number, path, links=w.LINKS_KEEP, last=number == len(self.wants)))

    def working(self) -> bool:
        return bool(self.open)

    def pump(self) -> None:
        if self.link.peer_left and not self.link.left and not self.open:
            self.link.leave()

    def on_goodbye(self) -> None:
        if self.open:
            raise violation("FT-32", f"GOODBYE with {len(self.open)} streams unfinished")
        if self.wants:
            raise violation("FT-36", f"GOODBYE before {len(self.wants)} wants were answered")

    def on_frame(self, frame: w.Frame) -> None:
        handlers = {
            w.OFFER: self._on_offer, w.DATA: self._on_content, w.HOLE: self._on_content, w.END: self._on_end,
            w.ERROR: self._on_error, w.DONE: self._on_done, w.ENTRY: self._on_entry,
        }  # fmt: skip
        if frame.type == w.HELLO:
            return
        if frame.type not in handlers:
            raise violation("FT-11", f"{frame} to a receiver")
        handlers[frame.type](frame)

    # --- Offers

    def _on_offer(self, frame: w.Frame) -> None:
        if self.intent == w.LIST:
            raise violation("FT-11", "OFFER in a list")
        if frame.stream != self.last_stream + 1:
            raise violation("FT-12", f"{frame} after stream {self.last_stream}")
        self.last_stream += 1
        if "bad_name" in frame.values:
            fault = Fault(w.CODE["bad-name"], f"FT-15: {frame.bad_name}")
            self.link.send(w.ack1(frame.stream, w.REFUSED, fault=fault))
            return self.report.add("failed", (), fault)
        if len(self.open) >= max(STREAMS, w.INITIAL_STREAMS):
            raise violation("FT-13", f"{frame} beyond the window")
        if self.open and self.offer_bytes + len(frame.payload) > max(OFFER_BYTES, w.INITIAL_OFFER_BYTES):
            raise violation("FT-14", f"{frame} beyond the window")
        self._check_want(frame.want, frame.meta.path)
        landing = Landing(self.root, frame)
        answer = landing.decide()
        self.link.send(answer)
        if answer.payload[0] == w.REFUSED:
            landing.close()
            return self.report.add("failed", frame.meta.path, "refused")
        self.open[frame.stream] = ["receiving", landing, len(frame.payload), None]
        self.offer_bytes += len(frame.payload)
        if landing.same_meta:
            self._land(frame.stream, b"")

    def _check_want(self, number: int, path: tuple) -> None:
        """FT-16."""
        if not self.link.client:
            if number != 0:
                raise violation("FT-16", f"OFFER for want {number} in a push")
            return
        if number not in self.wants:
            raise violation("FT-16", f"want {number} is not open")
        if self.wants[number] and path[0] != self.wants[number][-1]:
            raise violation("FT-16", f"{path!r} does not answer {self.wants[number]!r}")
        self.counts[number] += 1

    # --- Content

    def _stream(self, frame: w.Frame) -> list:
        if frame.stream not in self.open:
            raise violation("FT-21", f"{frame}: no such stream is open")
        slot = self.open[frame.stream]
        if slot[0] == "waiting":
            raise violation("FT-26", f"{frame} after END")
        if self.current not in (None, frame.stream):
            raise violation("FT-22", f"{frame} within stream {self.current}")
        return slot

    def _on_content(self, frame: w.Frame) -> None:
        slot = self._stream(frame)
        if slot[0] == "draining":
            return
        landing = slot[1]
        limit = landing.meta.size if landing.meta.size is not None else w.MAX_FILE
        if frame.offset + frame.length > limit:
            raise violation("FT-25", f"{frame} past {limit}")
        try:
            if self.current is None:
                landing.begin(frame.offset)
                self.current = frame.stream
            if frame.offset != landing.position:
                raise violation("FT-23", f"{frame}, expected offset {landing.position}")
            if frame.type == w.DATA:
                landing.write(frame.payload)
            else:
                landing.hole(frame.length)
        except FileFailed as error:
            self.link.send(w.error(frame.stream, error.fault, landing.position))
            self.report.add("failed", landing.path, error.fault)
            slot[0] = "draining"

    def _on_end(self, frame: w.Frame) -> None:
        slot = self._stream(frame)
        started, self.current = self.current == frame.stream, None
        if slot[0] == "draining":
            return self._close(frame.stream)
        landing = slot[1]
        same = not started and landing.same_root == frame.root and landing.same_root is not None
        size = landing.meta.size if same or landing.meta.size is not None else landing.position
        if frame.offset != size or not same and landing.position != size:
            raise violation("FT-26", f"{frame} after {landing.position} of {size} bytes")
        if not started and not same and landing.meta.kind == w.FILE:
            landing.begin(0)
        slot[0], slot[3] = "waiting", frame.root
        if landing.meta.kind != w.FOLDER:
            self._land(frame.stream, frame.root)
        self._land_folders()

    def _land(self, stream: int, root: bytes) -> None:
        landing = self.open[stream][1]
        try:
            ack = landing.finish(root)
        except FileFailed as error:
            self.link.send(w.error(stream, error.fault))
            self.report.add("failed", landing.path, error.fault)
        else:
            self.link.send(ack)
            self.report.add("completed", landing.path, f"{ack.offset} bytes{landing.meta.how}")
        self._close(stream)

    def _land_folders(self) -> None:
        """Folders get their times after everything that was offered before them (FT-55)."""
        for stream in sorted(self.open):
            if self.open[stream][0] != "waiting":
                return
            self._land(stream, self.open[stream][3])

    def _close(self, stream: int) -> None:
        _, landing, octets, _ = self.open.pop(stream)
        self.offer_bytes -= octets
        landing.close()

    def _on_error(self, frame: w.Frame) -> None:
        if not 1 <= frame.stream <= self.last_stream:
            raise violation("FT-69", f"{frame}: no such stream")
        slot = self.open.get(frame.stream)
        if slot is None:
            return  # FT-70
        if slot[0] == "waiting":
            raise violation("FT-69", f"{frame} after END")
        if self.current == frame.stream:
            self.current = None
        if slot[0] == "receiving":
            self.report.add("failed", slot[1].path, frame.fault)
        self._close(frame.stream)
        self._land_folders()

    # --- Wants

    def _on_done(self, frame: w.Frame) -> None:
        if frame.stream not in self.wants:
            raise violation("FT-36", f"{frame}: no such want is open")
        path = self.wants.pop(frame.stream)
        if frame.count != self.counts[frame.stream]:
            raise violation("FT-36", f"{frame} counts {frame.count}, {self.counts[frame.stream]} came")
        if frame.fault:
            self.report.add("failed", path, frame.fault)

    def _on_entry(self, frame: w.Frame) -> None:
        if self.intent != w.LIST:
            raise violation("FT-11", "ENTRY in a pull")
        self._check_want(frame.stream, frame.meta.path)
        kind = {w.FILE: "file", w.FOLDER: "folder", w.LINK: "link"}[frame.meta.kind]
        print(kind, frame.meta.size, ascii(os.fsdecode(b"/".join(frame.meta.path))), flush=True)

    def over(self) -> None:
        """The session is over: what is complete was landed at once, partials stay for a resume (FT-39)."""
        for stream in list(self.open):
            if self.open[stream][0] == "receiving":
                self.report.add("failed", self.open[stream][1].path, "the session ended")
            self._close(stream)
