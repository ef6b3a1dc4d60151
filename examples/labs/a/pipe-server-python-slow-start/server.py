"""File transfer over TCP: the server. Takes one file per connection and keeps it in the current folder."""

import os
import re
import socket
import tempfile
import time

HOST = "127.0.0.1"
PORT = 65432
SILENCE = 2.0  # seconds: a client that says nothing for so long is given up
QUIET = 0.2  # seconds: nothing ends the metadata, so a pause has to
MAX_SIZE = 1 << 30

# Some clients end the metadata with a line feed, most with nothing. The last | is the separator.
LINE = re.compile(rb"([^\n]*)\|([0-9]{1,10})\n")
BARE = re.compile(rb"(.*)\|([0-9]{1,10})", re.DOTALL)


def read_metadata(conn):
    """Returns the name, the size, and what came of the body already."""
    data = b""
    while len(data) < 4096:
        line = LINE.match(data)
        if line:
            return line[1], int(line[2]), data[line.end() :]
        bare = BARE.fullmatch(data)
        conn.settimeout(QUIET if bare else SILENCE)
        try:
            piece = conn.recv(1024)
        except socket.timeout:
            if bare:
                return bare[1], int(bare[2]), b""
            raise
        if not piece:
            raise ConnectionError("client left before the metadata was complete")
        data += piece
    raise ValueError("metadata is too long")


def check(name, size):
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > 255:
        raise ValueError(f"not a file name: {name!r}")
    if size > MAX_SIZE:
        raise ValueError(f"file is too big: {size}")


def read_body(conn, f, size, data):
    received = 0
    conn.settimeout(SILENCE)
    while True:
        f.write(data)
        received += len(data)
        if received >= size:
            break
        data = conn.recv(min(65536, size - received))
        if not data:
            raise ConnectionError(f"only {received} of {size} bytes came")
    # There must not be more than was said.
    conn.settimeout(QUIET)
    try:
        if received > size or conn.recv(1):
            raise ValueError("more bytes than the metadata said")
    except (socket.timeout, ConnectionResetError):
        pass


def receive_file(conn):
    name, size, rest = read_metadata(conn)
    check(name, size)
    conn.sendall(b"ACK")
    handle, temp = tempfile.mkstemp(prefix=".part-", dir=".")
    try:
        with open(handle, "wb") as f:
            read_body(conn, f, size, rest)
            f.flush()
            os.fsync(f.fileno())
        os.rename(temp, name)
    except BaseException:
        os.unlink(temp)
        raise
    print(f"[SAVED] {name!r}: {size} bytes", flush=True)


def main():
    # The lab machines are slow to bring the network up.
    time.sleep(1.5)
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((HOST, PORT))
    server.listen()
    while True:
        print("[LISTENING] Waiting for connection...", flush=True)
        conn, address = server.accept()
        print("[CONNECTED]", address, flush=True)
        with conn:
            try:
                receive_file(conn)
            except (OSError, ValueError) as e:
                print("[ERROR]", e, flush=True)


if __name__ == "__main__":
    main()
