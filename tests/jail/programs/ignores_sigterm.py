"""Answers every polite request to end with "no"."""
import signal
import time

signal.signal(signal.SIGTERM, lambda *_: print("no"))
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready")
while True:
    time.sleep(0.05)
