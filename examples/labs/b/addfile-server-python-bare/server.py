"""server.py HOST PORT

Our send_text sends only the text, nothing behind it. So the server knows a command by its letters, and the name has
ended when the client makes a pause: it has to wait for "file recv" anyway.
"""

import os
import socket
import sys
import time

COMMAND = b"addfile"
PAUSE = 0.2
TIMEOUT = 2


def recv_some(conn, timeout):
    """What comes within the timeout, None for silence, an exception at the end."""
    conn.settimeout(timeout)
    try:
        data = conn.recv(1024)
    except TimeoutError:
        return None
    if not data:
        raise EOFError("client closed")
    return data


def recv_request(conn):
    request = b""
    while not request.startswith(COMMAND):
        data = recv_some(conn, TIMEOUT)
        if data is None:
            raise ValueError("no command")
        request += data
        if not (request.startswith(COMMAND) or COMMAND.startswith(request)):
            raise ValueError(f"unknown command {request[:20]!r}")
    print("Client command: addfile", flush=True)

    name = request[len(COMMAND) :]
    while len(name) <= 240:
        data = recv_some(conn, PAUSE if name else TIMEOUT)
        if data is None and not name:
            raise ValueError("no name")
        if data is None:
            return name
        name += data
    raise ValueError("name is too long")


def recv_data(conn, f):
    conn.settimeout(TIMEOUT)
    while data := conn.recv(16384):
        f.write(data)
    f.flush()
    os.fsync(f.fileno())


def addfile(conn):
    name = recv_request(conn)
    if b"/" in name or b"\0" in name:
        raise ValueError(f"name {name!r} is not allowed")
    shown = ascii(os.fsdecode(name))[1:-1]
    print("Creating new file:", shown, flush=True)
    conn.sendall(b"file recv\n")
    print("Sent: file recv", flush=True)

    temp = f".addfile-{time.time_ns()}"
    try:
        with open(temp, "wb") as f:
            print("Receiving file data for:", shown, flush=True)
            recv_data(conn, f)
        os.replace(temp, b"server_" + name)
    except Exception:
        os.unlink(temp)
        raise
    conn.sendall(b"file data recv\n")
    print("Sent: file data recv", flush=True)


def main(host, port):
    server = socket.create_server((host, port))
    print(f"Server listening on {host} port {port}", flush=True)
    while True:
        conn, address = server.accept()
        print(f"Client connected: {address}", flush=True)
        try:
            addfile(conn)
            # recv_data has seen the end of the client's data, nothing is left to be read
            conn.shutdown(socket.SHUT_WR)
        except (OSError, ValueError, EOFError) as e:
            print("Problem:", e, flush=True)
        finally:
            conn.close()


main(sys.argv[1], int(sys.argv[2]))
