"""Sends one file to the server: client.py FILE"""

import os
import socket
import sys

SERVER = ("127.0.0.1", 65432)


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


def main(path):
    with open(path, "rb") as f:
        content = f.read()
    name = os.fsencode(os.path.basename(path))
    if b"|" in name:
        print("This name cannot be sent:", name, file=sys.stderr)
        return 2

    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(3)
    try:
        sock.connect(SERVER)
        sock.sendall(name + b"|" + str(len(content)).encode())
        ack = read_exactly(sock, 3)
        if ack != b"ACK":
            print("Server did not accept the file, it said", ack, file=sys.stderr)
            return 1
        # the file is in memory already, so it can go in one piece
        sock.send(content)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1024):
            pass
    except OSError as e:
        print("Transfer failed:", e, file=sys.stderr)
        return 1
    finally:
        sock.close()
    print("Sent", len(content), "bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
