#!/usr/bin/env python3
"""Lab A's server as a student writes it: one recv is the metadata, then ACK, then the body.

    lab_a_server.py [--host H] [--port P] [--dir D] [--count N] [--timeout S]

Prints `[BOUND] host port` first, so that a test may ask for port 0. Serves for ever, or N connections.
"""

import argparse
import os
import socket
import sys


def receive_file(conn, folder):
    filename, filesize = conn.recv(1024).decode("utf-8").split("|")
    filesize = int(filesize)
    conn.send(b"ACK")
    received = 0
    with open(os.path.join(folder, filename), "wb") as f:
        while received < filesize:
            data = conn.recv(1024)
            if not data:
                break
            f.write(data)
            received += len(data)
    print(f"[SAVED] {filename}: {received} of {filesize} bytes", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=65432)
    parser.add_argument("--dir", default=".")
    parser.add_argument("--count", type=int, default=0, help="connections to serve; 0 is for ever")
    parser.add_argument("--timeout", type=float, default=20)
    args = parser.parse_args()

    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((args.host, args.port))
    server.listen()
    print("[BOUND]", *server.getsockname()[:2], flush=True)
    served = 0
    while args.count == 0 or served < args.count:
        print("[LISTENING] Waiting for connection...", flush=True)
        conn, _address = server.accept()
        conn.settimeout(args.timeout)
        with conn:
            receive_file(conn, args.dir)
        served += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
