import os
import socket
import tempfile

HOST = "127.0.0.1"
PORT = 80


def recv_text(conn):
    """Receives up to the line feed and returns the text before it."""
    data = b""
    while b"\n" not in data:
        piece = conn.recv(1024)
        if not piece or len(data) > 1000:
            raise ConnectionError("no text")
        data += piece
    return data.split(b"\n")[0]


def recv_file(conn, filename):
    fd, temp = tempfile.mkstemp(dir=".", prefix=".tmp")
    try:
        with os.fdopen(fd, "wb") as f:
            while True:
                data = conn.recv(4096)
                if not data:
                    break
                f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.rename(temp, filename)
    except OSError:
        os.remove(temp)
        raise


def handle(conn):
    command = recv_text(conn)
    print("Client command:", command.decode(errors="replace"), flush=True)
    if command != b"addfile":
        return

    filename = recv_text(conn)
    if filename == b"" or b"/" in filename or b"\0" in filename:
        print("Bad file name", flush=True)
        return
    shown = filename.decode(errors="replace")
    print("Creating new file:", shown, flush=True)
    conn.sendall(b"file recv\n")
    print("Sent: file recv", flush=True)

    print("Receiving file data for:", shown, flush=True)
    recv_file(conn, b"server_" + filename)
    conn.sendall(b"file data recv\n")
    print("Sent: file data recv", flush=True)


with socket.create_server((HOST, PORT)) as server:
    print(f"Server listening on {HOST} port {PORT}", flush=True)
    while True:
        conn, address = server.accept()
        print("Client connected:", address, flush=True)
        conn.settimeout(2)
        try:
            handle(conn)
        except OSError as e:
            print("Error:", e, flush=True)
        conn.close()
