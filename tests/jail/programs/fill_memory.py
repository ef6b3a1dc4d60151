"""Touches so many MiB, in so many processes."""
import os
import sys
import time

size = int(sys.argv[1])
for _ in range(int(sys.argv[2]) - 1 if len(sys.argv) > 2 else 0):
    if os.fork() == 0:
        break
held = [b"x" * (1 << 20) for _ in range(size)]
time.sleep(60)
