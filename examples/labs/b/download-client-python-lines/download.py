"""download.py NAME: gets a file from the server into the current folder."""

import os
import socket
import sys
import tempfile

HOST, PORT = "127.0.0.1", 80


def fail(message):
    print("download failed:", message, file=sys.stderr)
    sys.exit(1)


def read_status(sock):
    """One byte after the other up to the line feed: what follows is the file."""
    status = b""
    while not status.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte or len(status) > 100:
            fail(f"no status, only {status!r}")
        status += byte
    return status


def download(sock, name):
    sock.sendall(b"DOWNLOAD\n" + name + b"\n")
    status = read_status(sock)
    if status != b"OK\n":
        fail(f"the server says {status!r}")
    handle, temp = tempfile.mkstemp(prefix=".download", dir=".")
    try:
        with open(handle, "wb") as f:
            while data := sock.recv(4096):
                f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.rename(temp, name)
    except OSError:
        os.remove(temp)
        raise


def main():
    name = os.fsencode(os.path.basename(sys.argv[1]))
    if name in (b"", b".", b"..") or b"\n" in name:
        fail("no file name")
    try:
        with socket.create_connection((HOST, PORT), timeout=3) as sock:
            download(sock, name)
    except OSError as e:
        fail(e)


main()
