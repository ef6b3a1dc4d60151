"""Connects and prints what it is told."""
import socket
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(connection.recv(100).decode())
