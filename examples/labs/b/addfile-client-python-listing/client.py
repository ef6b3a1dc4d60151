import os
import socket
import sys

HOST = "127.0.0.1"
PORT = 80


def send_text(sock, text):
    sock.send(text.encode("utf-8"))


path = sys.argv[1]
filename = os.path.basename(path)

with open(path, "rb") as f:
    data = f.read()

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect((HOST, PORT))
send_text(client, "addfile")
send_text(client, filename)
client.send(data)
client.close()
print("File sent:", filename)
