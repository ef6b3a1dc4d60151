import socket

HOST = "127.0.0.1"
PORT = 80


def recv_text(conn):
    return conn.recv(1024).decode("utf-8")


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((HOST, PORT))
server.listen()
print(f"Server listening on {HOST} port {PORT}", flush=True)

while True:
    conn, addr = server.accept()
    print(f"Client connected: {addr}", flush=True)
    command = recv_text(conn)
    print(f"Client command: {command}", flush=True)

    if command == "addfile":
        filename = recv_text(conn)
        server_filename = "server_" + filename
        print(f"Creating new file: {filename}", flush=True)
        open(server_filename, "wb").close()
        conn.send(b"file recv\n")
        print("Sent: file recv", flush=True)

        print(f"Receiving file data for: {filename}", flush=True)
        data = conn.recv(4096)
        with open(server_filename, "ab") as f:
            f.write(data)
        conn.send(b"file data recv\n")
        print("Sent: file data recv", flush=True)

    conn.close()
