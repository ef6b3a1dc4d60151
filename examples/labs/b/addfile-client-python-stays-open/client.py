"""Sends a file with addfile and waits for both confirmations."""

import os
import socket
import sys

ADDRESS = ("127.0.0.1", 80)


def get_line(stream):
    line = stream.readline(200)
    if not line.endswith(b"\n"):
        raise EOFError(f"connection ended after {line!r}")
    return line.rstrip(b"\n").decode("ascii", "replace")


def add_file(path):
    name = os.path.basename(os.fsencode(path))
    if b"\n" in name:
        print("File names must be one line", file=sys.stderr)
        return False
    with open(path, "rb") as f:
        data = f.read()

    with socket.create_connection(ADDRESS, 3) as sock:
        stream = sock.makefile("rb")
        sock.sendall(b"addfile\n%s\n" % name)
        if get_line(stream) != "file recv":
            return False
        sock.sendall(data)
        # closing comes later, the server still has to confirm
        if get_line(stream) != "file data recv":
            return False
        sock.shutdown(socket.SHUT_WR)
        try:
            stream.read()
        except TimeoutError:
            pass
    return True


try:
    ok = add_file(sys.argv[1])
except (OSError, EOFError) as e:
    print("Error:", e, file=sys.stderr)
    ok = False
print("Done" if ok else "Not done")
sys.exit(0 if ok else 1)
