"""Listens on an address and a port, says its number and a word to whoever comes first, and ends."""
import socket
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print(listener.getsockname()[1])
connection, _ = listener.accept()
connection.sendall(sys.argv[3].encode())
connection.close()
