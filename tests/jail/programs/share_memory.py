"""Touches so many MiB once, and has them read by so many children for a while."""
import mmap
import os
import sys
import time

held = mmap.mmap(-1, int(sys.argv[1]) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for place in range(0, len(held), 4096):
    held[place] = 1
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(int(sys.argv[2])):
    os.wait()
