#!/usr/bin/env python3
"""Lab B's server as a student writes it: addfile, UPLOAD, DOWNLOAD.

    lab_b_server.py [--host H] [--port P] [--dir D] [--text bare|line] [--data eof|once] [--gap S] [--count N] [--timeout S]

`--data once` is the listing: the data of addfile is what one recv(4096) returns; `eof` reads until the client ends it.
Prints `[BOUND] host port` first, so that a test may ask for port 0.
"""

import argparse
import os
import socket
import sys

from lab_b_text import Texts


def log(*words):
    print(*words, flush=True)


def addfile(conn, texts, folder, how):
    filename = texts.recv_text()
    server_filename = os.path.join(folder, "server_" + filename)
    log(f"Creating new file: {filename}")
    open(server_filename, "wb").close()
    conn.send(b"file recv\n")
    log("Sent: file recv")
    log(f"Receiving file data for: {filename}")
    data = conn.recv(4096) if how == "once" else texts.recv_to_eof()
    with open(server_filename, "ab") as f:
        f.write(data)
    conn.send(b"file data recv\n")
    log("Sent: file data recv")


def upload(conn, texts, folder):
    filename = texts.recv_text()
    path = os.path.join(folder, filename)
    if os.path.isdir(path):
        texts.send_text("NOT FOUND")
        return
    texts.send_text("OK")
    data = texts.recv_to_eof()
    with open(path, "wb") as f:
        f.write(data)


def download(conn, texts, folder):
    path = os.path.join(folder, texts.recv_text())
    if not os.path.isfile(path):
        texts.send_text("NOT FOUND")
        return
    texts.send_text("OK")
    with open(path, "rb") as f:
        texts.send_data(f.read())


def serve(conn, args):
    texts = Texts(conn, args.text, args.gap)
    command = texts.recv_text()
    log(f"Client command: {command}")
    if command == "addfile":
        addfile(conn, texts, args.dir, args.data)
    elif command == "UPLOAD":
        upload(conn, texts, args.dir)
    elif command == "DOWNLOAD":
        download(conn, texts, args.dir)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--dir", default=".")
    parser.add_argument("--text", choices=["bare", "line"], default="bare")
    parser.add_argument("--data", choices=["eof", "once"], default="eof")
    parser.add_argument("--gap", type=float, default=0.2, help="seconds between bare texts")
    parser.add_argument("--count", type=int, default=0, help="connections to serve; 0 is for ever")
    parser.add_argument("--timeout", type=float, default=20)
    args = parser.parse_args()

    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((args.host, args.port))
    server.listen()
    host, port = server.getsockname()[:2]
    log("[BOUND]", host, port)
    log(f"Server listening on {host} port {port}")
    served = 0
    while args.count == 0 or served < args.count:
        conn, address = server.accept()
        conn.settimeout(args.timeout)
        log(f"Client connected: {address}")
        with conn:
            serve(conn, args)
        served += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
