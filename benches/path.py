#!/usr/bin/env python3
"""A path between two network namespaces: delay, rate, a queue and loss, for kernels with and without netem.

    python3 benches/path.py --rtt 100 --rate 1000 --loss 0.1 -- COMMAND...     # as root; runs COMMAND on the near side

The near side is 10.77.0.1, the far side 10.77.0.2 (programs for it: `ip netns exec ft-path-PID-b ...`; the names are in
the environment of COMMAND as FT_NEAR and FT_FAR, the far address as FT_HOST). Both kernels' TCP see real packets through
a tun device each, so that slow start, ACK clock, retransmissions and congestion control are those of a real path, which a
proxy that joins two connections cannot show. The devices take packets of up to 64 KiB, as network cards do (TSO), which is
what lets a program in Python carry a gigabit; loss and the end of the queue strike single segments of them all the same.

Rate is in Mbit/s, 0 for none; the queue is drop-tail, in KiB; loss is in percent of the segments, each way, from a fixed
seed. Ends only what it started.
"""
import argparse, ctypes, fcntl, math, os, random, select, signal, struct, subprocess, sys, time
from collections import deque

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 1, 2
CLONE_NEWNET = 0x40000000
VNET = 10
BURST = 32
LONGEST = VNET + (1 << 16)


def tun(namespace, address):
    """A tun device `path0` in a namespace, as a descriptor of ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET):
        raise SystemExit(f"cannot enter {namespace}: {os.strerror(ctypes.get_errno())}")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"path0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", VNET))
    fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    for line in (f"addr add {address}/24 dev path0", "link set path0 mtu 1500 txqueuelen 10000 up", "link set lo up"):
        subprocess.run(["ip", *line.split()], check=True)
    libc.setns(home, CLONE_NEWNET)
    os.close(home)
    os.close(there)
    return fd


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def cut(packet, first, last, size, header):
    """Segments first..last of a packet of many: what a network card would have sent of them, still in one piece."""
    vnet, rest = bytearray(packet[:VNET]), packet[VNET:]
    head, payload = bytearray(rest[:header]), rest[header:]
    part = payload[first * size:last * size]
    ip = (head[0] & 15) * 4
    struct.pack_into("!H", head, 2, header + len(part))
    struct.pack_into("!H", head, 4, (struct.unpack_from("!H", head, 4)[0] + first) & 0xFFFF)
    struct.pack_into("!H", head, 10, 0)
    struct.pack_into("!H", head, 10, checksum(bytes(head[:ip])) ^ 0xFFFF)
    struct.pack_into("!I", head, ip + 4, (struct.unpack_from("!I", head, ip + 4)[0] + first * size) & 0xFFFFFFFF)
    if last * size < len(payload):
        head[ip + 13] &= ~0x09  # FIN and PSH belong to the last segment
    # The kernel leaves the sum over the pseudo-header in the checksum field, and completes it where it is needed.
    pseudo = bytes(head[12:20]) + struct.pack("!HH", head[9], header - ip + len(part))
    struct.pack_into("!H", head, ip + 16, checksum(pseudo))
    if len(part) <= size:
        vnet[1:6] = bytes(5)
    return bytes(vnet) + bytes(head) + part


class Direction:
    def __init__(self, source, sink, delay, byte_time, queue, loss, seed):
        self.source, self.sink, self.delay, self.byte_time = source, sink, delay, byte_time
        self.queue, self.loss = queue, loss
        self.random = random.Random(seed)
        self.free_at = 0.0
        self.under_way = deque()
        self.until_lost = self.draw()
        self.segments = self.lost = self.overflowed = 0

    def draw(self):
        """Segments that pass before the next one is lost."""
        return int(math.log(1 - self.random.random()) / math.log(1 - self.loss)) if self.loss else 1 << 62

    def take(self, now):
        """Reads what the source sends; true when there was something."""
        for i in range(BURST):
            try:
                packet = os.read(self.source, LONGEST)
            except BlockingIOError:
                return i > 0
            gso, size = packet[1] & 0x7F, struct.unpack_from("<H", packet, 4)[0]
            ip = (packet[VNET] & 15) * 4
            if gso and size:
                header = ip + (packet[VNET + ip + 12] >> 4) * 4
                count = -(-(len(packet) - VNET - header) // size)
            else:
                header, count = 0, 1
            self.segments += count
            keep, start = [], 0
            fits = count
            if self.byte_time:
                self.free_at = max(self.free_at, now)
                room = self.queue - (self.free_at - now) / self.byte_time
                fits = min(count, max(0, int(room // ((size + header) if header else len(packet)))))
                self.overflowed += count - fits
            while self.until_lost < fits - start:
                gone = start + self.until_lost
                if gone > start:
                    keep.append((start, gone))
                start = gone + 1
                self.lost += 1
                self.until_lost = self.draw()
            self.until_lost -= fits - start
            if fits > start:
                keep.append((start, fits))
            for first, last in keep:
                whole = (first, last) == (0, count)
                piece = packet if whole else cut(packet, first, last, size, header)
                due = now
                if self.byte_time:
                    self.free_at += (len(piece) - VNET + (last - first - 1) * header) * self.byte_time
                    due = self.free_at
                self.under_way.append((due + self.delay, piece))
        return True

    def give(self, now):
        """Delivers what is due; the time of the next delivery."""
        while self.under_way:
            due, piece = self.under_way[0]
            if due > now:
                return due
            try:
                os.write(self.sink, piece)
            except BlockingIOError:
                return now + 0.0002
            self.under_way.popleft()
        return now + 1.0


def carry(near, far, rtt, mbit, queue, loss):
    ends = tun(near, "10.77.0.1"), tun(far, "10.77.0.2")
    byte_time = 8e-6 / mbit if mbit else 0.0
    both = [Direction(ends[i], ends[1 - i], rtt / 2000, byte_time, queue * 1024, loss / 100, i) for i in (0, 1)]
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK: wake on time
    on = [True]
    signal.signal(signal.SIGTERM, lambda *_: on.clear())
    print("ready", flush=True)
    while on:
        now = time.monotonic()
        busy = [d.take(now) for d in both]
        now = time.monotonic()
        next_at = min(d.give(now) for d in both)
        if not any(busy):
            wait = next_at - time.monotonic()
            if wait > 0:
                try:
                    select.select(ends, (), (), wait)
                except InterruptedError:
                    pass
    print("; ".join(f"{d.segments} segments, {d.lost} lost, {d.overflowed} overflowed" for d in both), flush=True)


class Path:
    """A path that lives as long as the `with` block; `run` gives the command line that runs something on one side."""

    host = "10.77.0.2"

    def __init__(self, rtt, mbit=0, queue=4096, loss=0.0):
        self.near, self.far = (f"ft-path-{os.getpid()}-{side}" for side in "ab")
        self.say = [sys.executable, os.path.abspath(__file__), "--carry", self.near, self.far,
                    "--rtt", str(rtt), "--rate", str(mbit), "--queue", str(queue), "--loss", str(loss)]
        self.counts = ""

    def __enter__(self):
        self.made = []
        for name in (self.near, self.far):
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.made.append(name)
        self.carrier = subprocess.Popen(self.say, stdout=subprocess.PIPE, text=True)
        if self.carrier.stdout.readline() != "ready\n":
            self.__exit__()
            raise SystemExit("the path did not come up: it needs root and /dev/net/tun")
        return self

    def __exit__(self, *_):
        self.carrier.terminate()
        self.counts = self.carrier.communicate(timeout=10)[0].strip()
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def run(self, side, command):
        return ["nsenter", f"--net=/run/netns/{side}", "--", *command]


def end_in_order():
    """A SIGTERM unwinds like Ctrl-C, so that namespaces and servers do not stay."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rtt", type=float, default=50, help="milliseconds")
    p.add_argument("--rate", type=float, default=0, help="Mbit/s, 0: no limit")
    p.add_argument("--queue", type=int, default=4096, help="KiB")
    p.add_argument("--loss", type=float, default=0, help="percent")
    p.add_argument("--carry", nargs=2, help=argparse.SUPPRESS)
    p.add_argument("command", nargs="*")
    args = p.parse_args()
    if args.carry:
        return carry(*args.carry, args.rtt, args.rate, args.queue, args.loss)
    end_in_order()
    with Path(args.rtt, args.rate, args.queue, args.loss) as path:
        env = dict(os.environ, FT_NEAR=path.near, FT_FAR=path.far, FT_HOST=path.host)
        code = subprocess.run(path.run(path.near, args.command), env=env).returncode
    print(path.counts, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
