#!/usr/bin/env python3
"""Runs the lab programs against each other over loopback: each client against its server, both readings, several sizes."""

import contextlib
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [0, 1, 1024, 4096, 70_000]


def script(name, *args):
    return [sys.executable, "-u", os.path.join(HERE, name), *map(str, args)]


@contextlib.contextmanager
def server(name, *args):
    """Starts a server on a free port; yields its port and its log, which is whole when the block has ended."""
    log = []
    process = subprocess.Popen(script(name, "--port", 0, *args), stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline().split()[2]), log
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
        log += process.stdout.read().splitlines()
        process.stdout.close()


def client(name, port, *args):
    command = script(name, "--host", "127.0.0.1", "--port", port, *args)
    return subprocess.run(command, timeout=30, capture_output=True, text=True)


class Labs(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.here = os.path.join(self.temp.name, "here")
        self.there = os.path.join(self.temp.name, "there")
        os.mkdir(self.here)
        os.mkdir(self.there)

    def make(self, size):
        path = os.path.join(self.here, f"file{size}")
        with open(path, "wb") as f:
            f.write(bytes(i % 251 for i in range(size)))
        return path

    def assert_same(self, path, *parts):
        with open(path, "rb") as sent, open(os.path.join(*parts), "rb") as stored:
            self.assertEqual(sent.read(), stored.read())

    def assert_ok(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_lab_a_rebuilds_every_size(self):
        for text in ["bare", "line"]:
            with server("lab_a_server.py", "--dir", self.there, "--count", len(SIZES)) as (port, log):
                for size in SIZES:
                    self.assert_ok(client("lab_a_client.py", port, "--text", text, self.make(size)))
            self.assertEqual(log.count("[LISTENING] Waiting for connection..."), len(SIZES))
            for size in SIZES:
                self.assert_same(self.make(size), self.there, f"file{size}")

    def test_lab_b_addfile_upload_download_in_both_readings(self):
        for text in ["bare", "line"]:
            options = ["--text", text]
            with server("lab_b_server.py", "--dir", self.there, "--count", 3 * len(SIZES) + 1, *options) as (port, _):
                for size in SIZES:
                    path = self.make(size)
                    copy = os.path.join(self.here, "copy")
                    self.assert_ok(client("lab_b_client.py", port, *options, "addfile", path))
                    self.assert_ok(client("lab_b_client.py", port, *options, "UPLOAD", path))
                    self.assert_ok(client("lab_b_client.py", port, *options, "DOWNLOAD", f"file{size}", copy))
                    self.assert_same(path, self.there, f"server_file{size}")
                    self.assert_same(path, self.there, f"file{size}")
                    self.assert_same(path, copy)
                refused = client("lab_b_client.py", port, *options, "DOWNLOAD", "none", copy)
                self.assertEqual((refused.returncode, refused.stderr), (1, "[ERROR] status 'NOT FOUND'\n"))

    def test_lab_b_listing_loses_what_one_recv_does_not_return(self):
        with server("lab_b_server.py", "--dir", self.there, "--count", 1, "--data", "once") as (port, log):
            path = self.make(100)
            self.assert_ok(client("lab_b_client.py", port, "--end", "wait", "addfile", path))
        self.assert_same(path, self.there, "server_file100")
        self.assertEqual(log[0], f"Server listening on 127.0.0.1 port {port}")
        self.assertRegex(log[1], r"^Client connected: \('127\.0\.0\.1', \d+\)$")
        self.assertEqual(
            log[2:],
            [
                "Client command: addfile",
                "Creating new file: file100",
                "Sent: file recv",
                "Receiving file data for: file100",
                "Sent: file data recv",
            ],
        )
        with server("lab_b_server.py", "--dir", self.there, "--count", 1, "--data", "once") as (port, _):
            client("lab_b_client.py", port, "--end", "wait", "addfile", self.make(70_000))
        self.assertLessEqual(os.path.getsize(os.path.join(self.there, "server_file70000")), 4096)


if __name__ == "__main__":
    unittest.main()
