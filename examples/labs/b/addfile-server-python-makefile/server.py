"""File server for the lab: addfile, UPLOAD, DOWNLOAD. Every text ends with a line feed."""

import os
import shutil
import socket
import tempfile

HOST = "127.0.0.1"
PORT = 80
SILENCE = 2.0  # seconds


def log(*words):
    print(*words, flush=True)


def recv_text(reader):
    line = reader.readline(1024)
    if not line.endswith(b"\n"):
        raise ConnectionError("text is not complete")
    return line[:-1]


def is_good(name):
    return name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name and len(name) < 240


def store(reader, name):
    """Everything until the client closes its side; the old file stays until all is on the disk."""
    handle, temp = tempfile.mkstemp(prefix=".", suffix=".part", dir=".")
    try:
        with open(handle, "wb") as f:
            shutil.copyfileobj(reader, f)
            f.flush()
            os.fsync(f.fileno())
        os.rename(temp, name)
    except BaseException:
        os.unlink(temp)
        raise


def goodbye(conn, reader):
    # If we closed while bytes of the client are still unread, our last answer could get lost.
    conn.shutdown(socket.SHUT_WR)
    try:
        while reader.read1(65536):
            pass
    except TimeoutError:
        pass


def addfile(conn, reader):
    name = recv_text(reader)
    if not is_good(name):
        raise ValueError(f"bad name {name!r}")
    shown = ascii(os.fsdecode(name))[1:-1]
    log(f"Creating new file: {shown}")
    conn.sendall(b"file recv\n")
    log("Sent: file recv")
    log(f"Receiving file data for: {shown}")
    store(reader, b"server_" + name)
    conn.sendall(b"file data recv\n")
    log("Sent: file data recv")
    goodbye(conn, reader)


def upload(conn, reader):
    name = recv_text(reader)
    if is_good(name) and not os.path.isdir(name):
        conn.sendall(b"OK\n")
        store(reader, name)
    else:
        conn.sendall(b"NOT FOUND\n")
    goodbye(conn, reader)


def download(conn, reader):
    name = recv_text(reader)
    if is_good(name) and os.path.isfile(name):
        with open(name, "rb") as f:
            conn.sendall(b"OK\n")
            while piece := f.read(65536):
                conn.sendall(piece)
    else:
        conn.sendall(b"NOT FOUND\n")
    goodbye(conn, reader)


COMMANDS = {b"addfile": addfile, b"UPLOAD": upload, b"DOWNLOAD": download}


def serve(conn):
    conn.settimeout(SILENCE)
    with conn.makefile("rb") as reader:
        command = recv_text(reader)
        log("Client command:", ascii(os.fsdecode(command))[1:-1])
        if command in COMMANDS:
            COMMANDS[command](conn, reader)


def main():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, PORT))
        server.listen()
        log(f"Server listening on {HOST} port {PORT}")
        while True:
            conn, address = server.accept()
            log(f"Client connected: {address}")
            with conn:
                try:
                    serve(conn)
                except (OSError, ValueError) as e:
                    log("Error:", e)
                    # a reset, so that half a download does not look like a whole one
                    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


if __name__ == "__main__":
    main()
