import socket

HOST = "127.0.0.1"
PORT = 65432

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((HOST, PORT))
server.listen()

while True:
    print("[LISTENING] Waiting for connection...", flush=True)
    conn, addr = server.accept()
    print("[CONNECTED]", addr, flush=True)

    # metadata: name|size
    filename, filesize = conn.recv(1024).decode("utf-8").split("|")
    filesize = int(filesize)
    conn.send(b"ACK")

    # file data
    received = 0
    with open(filename, "wb") as f:
        while received < filesize:
            data = conn.recv(1024)
            if not data:
                break
            f.write(data)
            received += len(data)

    print("[SAVED]", filename, flush=True)
    conn.close()
