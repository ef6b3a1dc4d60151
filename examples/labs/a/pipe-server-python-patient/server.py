"""Lab server, one client after the other."""

import os
import re
import select
import socket

CHUNK = 4096
BIGGEST = 1 << 30


def quiet(conn):
    """True if the client says nothing for 200 ms."""
    readable, _, _ = select.select([conn], [], [], 0.2)
    return not readable


def get_metadata(conn):
    buffer = b""
    while len(buffer) < 2048:
        data = conn.recv(CHUNK)
        if data == b"":
            return None
        buffer += data
        # terminated by \n, and maybe the body has begun
        found = re.match(rb"([^\n]+)\|([0-9]{1,10})\n", buffer)
        if found:
            return found[1], int(found[2]), buffer[found.end() :]
        # not terminated: complete when the client waits for us
        found = re.fullmatch(rb"(.+)\|([0-9]{1,10})", buffer, re.DOTALL)
        if found and quiet(conn):
            return found[1], int(found[2]), b""
    return None


def allowed(name, size):
    if name in [b".", b".."] or len(name) > 255:
        return False
    return b"/" not in name and b"\x00" not in name and size <= BIGGEST


def get_file(conn, name, size, data):
    temporary = ".receiving"
    try:
        left = size
        with open(temporary, "wb") as f:
            while True:
                f.write(data)
                left -= len(data)
                if left <= 0:
                    break
                data = conn.recv(CHUNK)
                if data == b"":
                    break
            f.flush()
            os.fsync(f.fileno())
        if left == 0 and (quiet(conn) or conn.recv(1) == b""):
            os.rename(temporary, name)
            print("[SAVED]", name, flush=True)
        else:
            print("[ERROR] size does not match", name, flush=True)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def handle(conn):
    metadata = get_metadata(conn)
    if metadata is None:
        print("[ERROR] no metadata", flush=True)
        return
    name, size, rest = metadata
    if not allowed(name, size):
        print("[ERROR] refused", name, size, flush=True)
        return
    conn.sendall(b"ACK")
    get_file(conn, name, size, rest)


def main():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 65432))
        server.listen()
        while True:
            print("[LISTENING] Waiting for connection...", flush=True)
            conn, _ = server.accept()
            with conn:
                try:
                    handle(conn)
                except OSError as e:
                    print("[ERROR]", e, flush=True)


main()
