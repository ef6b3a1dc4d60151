"""Lab B: the server creates the file when it knows the name, and then appends what it gets."""

import os
import socketserver


class AddFile(socketserver.StreamRequestHandler):
    timeout = 2

    def say(self, text):
        self.wfile.write(text + b"\n")
        print("Sent:", text.decode(), flush=True)

    def line(self):
        text = self.rfile.readline(600)
        return text[:-1] if text.endswith(b"\n") else None

    def handle(self):
        print("Client connected:", self.client_address, flush=True)
        try:
            if self.line() != b"addfile":
                print("unknown command", flush=True)
                return
            filename = self.line()
            if not filename or b"/" in filename or b"\0" in filename:
                print("bad name", flush=True)
                return
            self.addfile(b"server_" + filename)
        except OSError as e:
            print("Error:", e, flush=True)

    def addfile(self, server_filename):
        with open(server_filename, "wb"):
            print("Creating new file:", server_filename, flush=True)
        self.say(b"file recv")
        with open(server_filename, "ab") as f:
            while True:
                try:
                    data = self.rfile.read1(4096)
                except ConnectionError:
                    break
                if not data:
                    break
                f.write(data)
            f.flush()
            os.fsync(f.fileno())
        self.say(b"file data recv")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", 80), AddFile) as server:
        print("Server listening on 127.0.0.1 port 80", flush=True)
        server.serve_forever()
