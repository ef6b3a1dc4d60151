"""client.py FILE: adds a file to the server. Command and name are lines and go out in one write."""

import os
import socket
import sys

SERVER = ("127.0.0.1", 80)


class TransferError(Exception):
    pass


def expect(replies, wanted):
    reply = replies.readline(100)
    if reply != wanted:
        raise TransferError(f"expected {wanted!r}, got {reply!r}")


def addfile(path):
    name = os.fsencode(os.path.basename(path))
    if b"\n" in name:
        raise TransferError("a name with a line feed cannot be sent")
    with open(path, "rb") as f, socket.create_connection(SERVER, timeout=3) as sock:
        replies = sock.makefile("rb")
        sock.sendall(b"addfile\n" + name + b"\n")
        expect(replies, b"file recv\n")
        while chunk := f.read(32768):
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        expect(replies, b"file data recv\n")
        try:
            while replies.read1(100):
                pass
        except TimeoutError:
            pass  # confirmed is confirmed, even if the server does not hang up


if __name__ == "__main__":
    try:
        addfile(sys.argv[1])
    except (OSError, TransferError) as e:
        sys.exit(f"not stored: {e}")
    print("stored")
