#!/usr/bin/env python3
"""Lab B's client as a student writes it: addfile, UPLOAD, DOWNLOAD.

    lab_b_client.py [options] addfile|UPLOAD FILE
    lab_b_client.py [options] DOWNLOAD NAME DEST

    --host H --port P --timeout S
    --text bare|line           how send_text ends a text
    --end half-close|wait      how addfile ends its data: with a half-close, or with nothing, waiting for ACK2
    --confirmations read|ignore  `ignore` is the listing: addfile sends everything and closes
"""

import argparse
import os
import socket
import sys

from lab_a_client import connect
from lab_b_text import Texts


def fail(message):
    print("[ERROR]", message, file=sys.stderr)
    return 1


def addfile(conn, texts, args):
    texts.send_text("addfile")
    texts.send_text(os.path.basename(args.file))
    read = args.confirmations == "read"
    if read and (ack := texts.recv_line()) != "file recv\n":
        return fail(f"expected file recv, got {ack!r}")
    with open(args.file, "rb") as f:
        texts.send_data(f.read())
    if args.end == "half-close":
        conn.shutdown(socket.SHUT_WR)
    if read and (ack := texts.recv_line()) != "file data recv\n":
        return fail(f"expected file data recv, got {ack!r}")
    return 0


def upload(conn, texts, args):
    texts.send_text("UPLOAD")
    texts.send_text(os.path.basename(args.file))
    status = texts.recv_text()
    if status != "OK":
        return fail(f"status {status!r}")
    with open(args.file, "rb") as f:
        texts.send_data(f.read())
    conn.shutdown(socket.SHUT_WR)
    texts.recv_to_eof()
    return 0


def download(conn, texts, args):
    texts.send_text("DOWNLOAD")
    texts.send_text(args.file)
    status = texts.recv_text()
    if status != "OK":
        return fail(f"status {status!r}")
    data = texts.recv_to_eof()
    with open(args.dest, "wb") as f:
        f.write(data)
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--timeout", type=float, default=20)
    parser.add_argument("--text", choices=["bare", "line"], default="bare")
    parser.add_argument("--gap", type=float, default=0.2, help="seconds between bare texts")
    parser.add_argument("--end", choices=["half-close", "wait"], default="half-close")
    parser.add_argument("--confirmations", choices=["read", "ignore"], default="read")
    parser.add_argument("command", choices=["addfile", "UPLOAD", "DOWNLOAD"])
    parser.add_argument("file")
    parser.add_argument("dest", nargs="?")
    args = parser.parse_args()
    if (args.command == "DOWNLOAD") != (args.dest is not None):
        parser.error("DOWNLOAD, and only DOWNLOAD, takes NAME and DEST")

    with connect(args.host, args.port, args.timeout) as conn:
        texts = Texts(conn, args.text, args.gap)
        return {"addfile": addfile, "UPLOAD": upload, "DOWNLOAD": download}[args.command](conn, texts, args)


if __name__ == "__main__":
    sys.exit(main())
