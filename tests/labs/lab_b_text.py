"""`send_text` and `recv_text`, which lab B does not show, in both readings."""

import time


class Texts:
    """Texts on one connection: `line` ends each with a line feed, `bare` takes one recv(1024) for one text.

    The bare reading needs two messages in a row apart, so it sleeps between them for `gap` seconds, and hopes.
    """

    def __init__(self, conn, reading, gap=0.2):
        self.conn = conn
        self.reading = reading
        self.gap = gap
        self.just_sent = False

    def keep_apart(self):
        if self.reading == "bare" and self.just_sent:
            time.sleep(self.gap)
        self.just_sent = True

    def send_text(self, text):
        self.keep_apart()
        self.conn.sendall(text.encode("utf-8") + (b"\n" if self.reading == "line" else b""))

    def send_data(self, data):
        self.keep_apart()
        self.conn.sendall(data)

    def recv_text(self):
        self.just_sent = False
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
        self.just_sent = False
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
