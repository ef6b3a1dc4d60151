import os
import socket
import sys

HOST = socket.gethostbyname("localhost")
PORT = 65432

path = sys.argv[1]
filename = os.path.basename(path)
filesize = os.path.getsize(path)

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect((HOST, PORT))

# send metadata
client.send(f"{filename}|{filesize}".encode("utf-8"))

# send the file when the server is ready
if client.recv(1024) == b"ACK":
    with open(path, "rb") as f:
        while True:
            chunk = f.read(1024)
            if not chunk:
                break
            client.sendall(chunk)
    print("[SENT]", filename)

client.close()
