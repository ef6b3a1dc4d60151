"""`send_text` and `recv_text`, which lab B does not show, in both readings."""

import time


class Texts:
    """Texts on one connection: `line` ends each with a line feed, `bare` takes one recv(1024) for one text.

    The bare reading needs its texts apart, so it sleeps after each for `gap` seconds, and hopes.
    """

    def __init__(self, conn, reading, gap=0.2):
        self.conn = conn
        self.reading = reading
        self.gap = gap

    def send_text(self, text):
        if self.reading == "line":
            self.conn.sendall(text.encode("utf-8") + b"\n")
        else:
            self.conn.sendall(text.encode("utf-8"))
            time.sleep(self.gap)

    def recv_text(self):
        if self.reading == "bare":
            return self.conn.recv(1024).decode("utf-8")
        line = b""
        while not line.endswith(b"\n"):
            byte = self.conn.recv(1)
            if not byte:
                break
            line += byte
        return line.decode("utf-8").rstrip("\r\n")

    def recv_line(self):
        """A confirmation: the listing ends it with a line feed in both readings."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self.conn.recv(1)
            if not byte:
                break
            line += byte
        return line.decode("utf-8")

    def recv_to_eof(self):
        data = b""
        while piece := self.conn.recv(4096):
            data += piece
        return data
