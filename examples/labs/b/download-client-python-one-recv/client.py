"""Downloads a file of the server. Usage: client.py NAME"""

import os
import socket
import sys

HOST = "127.0.0.1"
PORT = 80


def send_text(sock, text):
    sock.sendall(text.encode("utf-8", "surrogateescape") + b"\n")


def main():
    filename = os.path.basename(sys.argv[1])
    if filename in ("", ".", "..") or "\n" in filename:
        print("not a file name", file=sys.stderr)
        return 2
    part = ".part-" + str(os.getpid())

    with socket.create_connection((HOST, PORT), timeout=3) as sock:
        request = "DOWNLOAD\n" + filename
        send_text(sock, request)
        status = sock.recv(1024)
        if status != b"OK\n":
            print("Server says", status[:50], file=sys.stderr)
            return 1
        try:
            with open(part, "wb") as f:
                while data := sock.recv(8192):
                    f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.replace(part, filename)
        except OSError:
            os.remove(part)
            raise
    print("Downloaded", ascii(filename))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as e:
        print("Download failed:", e, file=sys.stderr)
        sys.exit(1)
