"""python3 client.py HOST PORT FILE: sends a file. The socket is used like a file, so Python does the buffering."""

import os
import shutil
import socket
import sys


def send_file(host, port, path):
    name = os.fsencode(os.path.basename(path))
    if b"|" in name:
        raise ValueError("the name must not contain |")
    with open(path, "rb") as f, socket.create_connection((host, port), timeout=3) as sock:
        with sock.makefile("rwb") as stream:
            stream.write(b"%s|%d" % (name, os.path.getsize(path)))
            stream.flush()
            answer = stream.read(3)
            if answer != b"ACK":
                raise ValueError(f"expected ACK, got {answer!r}")
            shutil.copyfileobj(f, stream)
            stream.flush()
            # We have no more to say; whether the server is content shows in how it hangs up.
            sock.shutdown(socket.SHUT_WR)
            while stream.read(1024):
                pass


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: client.py HOST PORT FILE")
    try:
        send_file(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    except (OSError, ValueError) as e:
        sys.exit(f"[ERROR] {e}")
    print("[SENT]", ascii(sys.argv[3]))


if __name__ == "__main__":
    main()
