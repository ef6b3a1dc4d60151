#!/usr/bin/env python3
"""Lab A's client as a student writes it: metadata, ACK, then the body in chunks of 1024.

    lab_a_client.py [--host H] [--port P] [--text bare|line] [--timeout S] FILE

`--text line` ends the metadata with a line feed; the listing, `bare`, ends it with nothing.
"""

import argparse
import os
import socket
import sys


def connect(host, port, timeout):
    if ":" in host:
        client = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    else:
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        host = socket.gethostbyname(host)
    client.settimeout(timeout)
    client.connect((host, port))
    return client


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=65432)
    parser.add_argument("--text", choices=["bare", "line"], default="bare")
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("file")
    args = parser.parse_args()

    metadata = f"{os.path.basename(args.file)}|{os.path.getsize(args.file)}"
    if args.text == "line":
        metadata += "\n"
    with connect(args.host, args.port, args.timeout) as client:
        client.send(metadata.encode("utf-8"))
        ack = client.recv(1024)
        if ack != b"ACK":
            print(f"[ERROR] expected ACK, got {ack!r}", file=sys.stderr)
            return 1
        with open(args.file, "rb") as f:
            while chunk := f.read(1024):
                client.sendall(chunk)
    print("[SENT]", args.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
