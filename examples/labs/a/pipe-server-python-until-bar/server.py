"""Server for the file transfer lab."""

import os
import re
import socket
import sys

METADATA = re.compile(rb"(.+)\|(\d{1,10})", re.DOTALL)
LIMIT = 2**30


def split_line(header):
    """Cuts `name|size\\n` off; gives None while there is no such line."""
    line, end, body = header.partition(b"\n")
    match = METADATA.fullmatch(line)
    return (match, body) if end and match else None


def receive_metadata(conn):
    header = b""
    # collect until there is a |, and digits behind it
    while not METADATA.fullmatch(header):
        header += conn.recv(1024)
        if split_line(header):
            return split_line(header)
        if len(header) > 4096:
            raise ValueError("no metadata in 4096 bytes")
    # maybe not all digits are here yet
    conn.settimeout(0.2)
    try:
        while more := conn.recv(1024):
            header += more
            if split_line(header):
                return split_line(header)
    except TimeoutError:
        pass
    match = METADATA.fullmatch(header)
    if match is None:
        raise ValueError("metadata looks wrong")
    return match, b""


def receive_body(conn, out, size, data):
    count = len(data)
    out.write(data)
    while count < size:
        data = conn.recv(4096)
        if not data:
            raise ValueError(f"got {count} bytes instead of {size}")
        out.write(data)
        count += len(data)
    conn.settimeout(0.2)
    try:
        count += len(conn.recv(1))
    except (TimeoutError, ConnectionResetError):
        pass
    if count > size:
        raise ValueError("got too many bytes")


def receive(conn):
    conn.settimeout(2)
    match, body = receive_metadata(conn)
    name, size = match[1], int(match[2])
    if b"/" in name or b"\0" in name or name in {b".", b".."} or size > LIMIT:
        raise ValueError("refused")
    conn.settimeout(2)
    conn.sendall(b"ACK")
    temp = f".temp{os.getpid()}"
    try:
        with open(temp, "wb") as out:
            receive_body(conn, out, size, body)
            out.flush()
            os.fsync(out.fileno())
        os.rename(temp, name)
    except (OSError, ValueError):
        os.unlink(temp)
        raise
    print("[SAVED]", name, size)


def main():
    server = socket.create_server(("127.0.0.1", 65432))  # sets SO_REUSEADDR too
    while True:
        print("[LISTENING] Waiting for connection...")
        sys.stdout.flush()
        conn, _ = server.accept()
        with conn:
            try:
                receive(conn)
            except (OSError, ValueError) as problem:
                print("[ERROR]", problem)


if __name__ == "__main__":
    main()
