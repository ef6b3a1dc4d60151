"""A lab A server that is right, and besides does what its argument says: fork, flood, memory, stubborn, stray, trap or daemon."""

import os
import signal
import socket
import sys
import threading
import time

MARK = sys.argv[2]  # so that a test finds what is left of it


def fork():
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(600)


def flood():
    def run():
        while True:
            os.write(1, b"x" * 4096)

    threading.Thread(target=run, daemon=True).start()


def memory():
    kept = []
    while True:
        kept.append(b"\x01" * 8_000_000)


def stubborn():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)


def stray():
    for place in (os.path.expanduser("~/stray"), "/tmp/stray", "/usr/stray", sys.argv[3]):
        try:
            with open(place, "w") as f:
                f.write("x")
        except OSError as error:
            print(error, flush=True)


def trap():
    # Whoever reads it waits for a writer; whoever reads the other never comes to an end.
    if not os.path.exists("data.txt"):
        os.mkfifo("data.txt")
    if not os.path.exists("next.txt"):
        os.symlink("/dev/zero", "next.txt")


def receive(conn):
    conn.settimeout(2)
    head = conn.recv(1024)
    while head.count(b"|") == 0 or not head.rsplit(b"|", 1)[1].isdigit():
        more = conn.recv(1024)
        if not more:
            return
        head += more
    conn.settimeout(0.2)
    try:
        while more := conn.recv(1024):
            head += more
    except TimeoutError:
        pass
    conn.settimeout(2)
    name, size = head.rsplit(b"|", 1)
    if b"/" in name or len(size) > 9:
        return
    conn.sendall(b"ACK")
    data = b""
    while len(data) < int(size):
        more = conn.recv(4096)
        if not more:
            return
        data += more
    with open(b".new", "wb") as f:
        f.write(data)
    os.rename(b".new", name)


server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 65432))
server.listen()
{"fork": fork, "flood": flood, "memory": memory, "stubborn": stubborn, "daemon": daemon, "stray": stray, "trap": trap}[sys.argv[1]]()
while True:
    conn, _ = server.accept()
    with conn:
        try:
            receive(conn)
        except OSError as error:
            print("error", error, flush=True)
