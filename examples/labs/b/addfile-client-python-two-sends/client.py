import os
import socket
import sys


class Connection:
    """The protocol's messages: texts with a line feed at the end, and data."""

    def __init__(self, host, port):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(3)
        self.sock.connect((host, port))
        self.received = b""

    def send_text(self, text):
        self.sock.sendall(text + b"\n")

    def send_data(self, f):
        while data := f.read(4096):
            self.sock.sendall(data)
        self.sock.shutdown(socket.SHUT_WR)

    def recv_text(self):
        while b"\n" not in self.received:
            data = self.sock.recv(1024)
            if not data:
                raise EOFError("server closed the connection")
            self.received += data
        text, self.received = self.received.split(b"\n", 1)
        return text

    def wait_for(self, expected):
        text = self.recv_text()
        print("Server:", text)
        if text != expected:
            raise ValueError("this is not what I expected")

    def wait_for_close(self):
        try:
            while self.sock.recv(1024):
                pass
        except TimeoutError:
            print("Server does not close, but has confirmed")


def main(path):
    filename = os.fsencode(os.path.basename(path))
    if b"\n" in filename:
        raise ValueError("a line feed is not allowed in the name")
    with open(path, "rb") as f:
        server = Connection("127.0.0.1", 80)
        server.send_text(b"addfile")
        server.send_text(filename)
        server.wait_for(b"file recv")
        server.send_data(f)
        server.wait_for(b"file data recv")
        server.wait_for_close()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, EOFError, ValueError) as e:
        print("Failed:", e, file=sys.stderr)
        sys.exit(1)
