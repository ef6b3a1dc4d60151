"""So many children, every other one out of its parent's reach, that all sleep. The last argument is only a mark."""
import os
import sys
import time

for number in range(int(sys.argv[1])):
    if os.fork() == 0:
        if number % 2:
            os.setsid()
            if os.fork():
                os._exit(0)
        time.sleep(60)
        os._exit(0)
print("forked")
time.sleep(60 if len(sys.argv) < 4 else float(sys.argv[3]))
