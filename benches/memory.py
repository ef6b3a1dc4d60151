"""Memory as a program of a machine that has been at work finds it.

A virtual machine may give memory that nobody uses back to its host (free page reporting: virtio-balloon, within two seconds).
The first touch afterwards waits for the host: on the machine of docs/PERFORMANCE.md 1.5 seconds a GiB where 0.4 are
usual, which is more than a whole transfer takes. Which program of a round had to pay it was decided by what had run before:
the same program took 0.5 or 1.7 seconds for 1 GiB, by its place in the round. So every run is preceded by this.
"""
import mmap

# Bytes that a run of many small files touches besides their content: inodes, buffers, the programs.
SMALL = 256 << 20


def warm(bytes_):
    """Takes that much memory from the host and frees it at once: whoever runs within the next second gets it."""
    with open("/proc/meminfo") as f:
        free = next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable:"))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, min(bytes_, free // 2), flags=flags).close()
