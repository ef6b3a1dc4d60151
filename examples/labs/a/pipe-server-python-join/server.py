"""Receives files. Every file lands in FOLDER under the name that the client gives."""

import os
import re
import socket

ADDRESS = ("127.0.0.1", 65432)
FOLDER = os.getcwd()
MAX_SIZE = 1024 * 1024 * 1024

HEADER = re.compile(rb"(.+)\|([0-9]{1,10})", re.DOTALL)


class Refused(Exception):
    pass


def read_header(conn):
    header = b""
    while True:
        # a line feed behind the digits ends the header, otherwise 200 ms without anything new
        first, newline, body = header.partition(b"\n")
        match = HEADER.fullmatch(first) if newline else None
        if match:
            return match[1], int(match[2]), body
        match = HEADER.fullmatch(header)
        conn.settimeout(0.2 if match else 2)
        try:
            more = conn.recv(512)
        except TimeoutError:
            if match:
                return match[1], int(match[2]), b""
            raise
        if not more or len(header) > 2000:
            raise Refused("no proper header")
        header += more


def save(conn, path, size, body):
    # The old file stays as it is until the new one is complete.
    part = os.path.join(FOLDER, ".incoming")
    try:
        with open(part, "wb") as f:
            while True:
                f.write(body)
                size -= len(body)
                if size <= 0:
                    break
                conn.settimeout(2)
                body = conn.recv(8192)
                if not body:
                    raise Refused(f"{size} bytes are missing")
            conn.settimeout(0.2)
            try:
                if size < 0 or conn.recv(1):
                    raise Refused("more data than announced")
            except (TimeoutError, ConnectionResetError):
                pass
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def serve(conn):
    name, size, body = read_header(conn)
    if size > MAX_SIZE or b"\0" in name:
        raise Refused("bad header")
    path = os.path.join(FOLDER, os.fsdecode(name))
    if os.path.isdir(path):
        raise Refused("this is a folder")
    conn.sendall(b"ACK")
    save(conn, path, size, body)
    print("[SAVED]", ascii(path), flush=True)


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(ADDRESS)
server.listen(5)
print("[LISTENING] Waiting for connection...", flush=True)
while True:
    conn, peer = server.accept()
    try:
        serve(conn)
    except (OSError, Refused) as e:
        print("[ERROR]", peer, e, flush=True)
    conn.close()
