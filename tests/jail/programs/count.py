"""Counts, and has a child that does."""
import os
import time

os.fork()
number = 0
while True:
    number += 1
    print(number)
    time.sleep(0.01)
