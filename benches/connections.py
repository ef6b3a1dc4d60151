#!/usr/bin/env python3
"""1, 2, 8 and 64 clients at once against one server, over loopback: does the total hold, and does anybody starve?

    cargo build --release && cargo build --release -p ft-cli --example bare
    python3 benches/connections.py                 # push and pull, 1 GiB in all each time
    python3 benches/connections.py --total 256M --rounds 3 --durability durable

Every client moves a file of its own, all together the same number of bytes whatever their number, so that the total is
comparable. The bare program of `benches/bare.rs`, a receiver for each sender, shows what the machine itself does with so many
streams. `MB/s` is bytes of all by the time of the last, without the time that the same number of clients takes for a file
of one byte each: starting 64 programs on two cores is no matter of connections (`start`). `slowest` is the median client's time by the slowest's, both
counted from the moment at which all were started: 1 is perfectly fair. Rounds are interleaved (1 2 8 64 1 2 8 64 ...),
medians are shown, landings are compared byte by byte. Ends only processes that it started.
"""
import argparse, filecmp, os, random, resource, shutil, statistics, subprocess, tempfile, threading, time

from memory import SMALL, warm
from against_rsync import HERE, free_port, peak_kib, size, wait_for


def push(args, names, sources, there):
    """Who serves (everything that must listen first), its ports, and the line of every client; what landed is in `there`."""
    port = free_port()
    return [serve(args, there, port)], [port], [
        [args.binary, "put", source, f"127.0.0.1:{port}", "-q", "--durability", args.durability] for source in sources]


def pull(args, names, sources, there):
    port = free_port()
    return [serve(args, os.path.dirname(sources[0]), port)], [port], [
        [args.binary, "get", f"127.0.0.1:{port}/{name}", there + "/", "-q", "--durability", args.durability] for name in names]


def bare(args, names, sources, there):
    ports = set()
    while len(ports) < len(sources):
        ports.add(free_port())
    return ([[args.bare, "receive", os.path.join(there, name), str(port)] for name, port in zip(names, ports)], list(ports),
            [[args.bare, "send", source, f"127.0.0.1:{port}"] for source, port in zip(sources, ports)])


def serve(args, folder, port):
    return [args.binary, "serve", folder, "--listen", f"127.0.0.1:{port}", "-q", "--durability", args.durability,
            "--max-connections", "1000"]


def clients(args, tmp, sources, row):
    """One run: seconds of every client, CPU seconds of all with who serves, and that one's peak MiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    there = os.path.join(tmp, "there")
    os.mkdir(there)
    count = len(sources)
    names = [os.path.basename(s) for s in sources]
    serving, ports, lines = row(args, names, sources, there)
    warm(2 * sum(os.path.getsize(s) for s in sources) + SMALL)
    servers = [subprocess.Popen(line) for line in serving]
    try:
        for port in ports:
            wait_for(port)
        seconds = [0.0] * count
        begin = time.perf_counter()
        running = [subprocess.Popen(line) for line in lines]

        def wait(i):
            if running[i].wait(timeout=300) == 0:
                seconds[i] = time.perf_counter() - begin

        threads = [threading.Thread(target=wait, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not all(seconds):
            raise SystemExit("a client failed: " + str(lines[seconds.index(0.0)]))
        memory = peak_kib(servers[0].pid) / 1024
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(timeout=60)
    for name, source in zip(names, sources):
        if not filecmp.cmp(source, os.path.join(there, name), shallow=False):
            raise SystemExit(f"{name}: what landed is not what was sent")
    shutil.rmtree(there)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.path.join(HERE, "../target/release/ft-cli"))
    p.add_argument("--bare", default=os.path.join(HERE, "../target/release/examples/bare"))
    p.add_argument("--total", type=size, default=1 << 30, help="bytes of all clients together")
    p.add_argument("--counts", type=int, nargs="+", default=[1, 2, 8, 64])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--durability", default="cached")
    p.add_argument("--dir", help="scratch folder")
    args = p.parse_args()
    args.binary, args.bare = os.path.abspath(args.binary), os.path.abspath(args.bare)
    tmp = tempfile.mkdtemp(prefix="ft-connections-", dir=args.dir)
    try:
        rng, sources = random.Random(1), {}
        for count in args.counts:
            folder = os.path.join(tmp, f"src-{count}")
            os.mkdir(folder)
            sources[count] = [os.path.join(folder, f"f{i}") for i in range(count)]
            block = rng.randbytes(1 << 20)
            for path in sources[count]:
                with open(path, "wb") as f:
                    for at in range(0, args.total // count, 1 << 20):
                        f.write(at.to_bytes(8, "big") + block[8:min(1 << 20, args.total // count - at)])
            tiny = os.path.join(tmp, f"tiny-{count}")
            os.mkdir(tiny)
            for path in sources[count]:
                with open(os.path.join(tiny, os.path.basename(path)), "wb") as f:
                    f.write(b"x")
        small = {c: [os.path.join(tmp, f"tiny-{c}", os.path.basename(s)) for s in sources[c]] for c in sources}
        for row in (push, pull, bare):
            times = {count: [] for count in args.counts}
            start = {count: [] for count in args.counts}
            cpu = {count: [] for count in args.counts}
            for _ in range(args.rounds):
                for count in args.counts:
                    start[count].append(max(clients(args, tmp, small[count], row)[0]))
                    seconds, used, _ = clients(args, tmp, sources[count], row)
                    times[count].append(seconds)
                    cpu[count].append(used)
            base = {c: statistics.median(start[c]) for c in args.counts}
            rate = {c: args.total / (statistics.median([max(t) for t in times[c]]) - base[c]) / 1e6 for c in args.counts}
            two = rate.get(2, rate[args.counts[0]])
            print(f"\n{row.__name__}, {args.total >> 20} MiB in all, {args.durability}, {args.rounds} rounds, medians\n"
                  f"{'clients':>8}{'s':>8}{'start':>8}{'cpu s':>8}{'MB/s':>9}{'/ of two':>10}{'slowest':>9}")
            for count in args.counts:
                fair = statistics.median([statistics.median(t) / max(t) for t in times[count]])
                print(f"{count:8}{statistics.median([max(t) for t in times[count]]):8.2f}{base[count]:8.2f}{statistics.median(cpu[count]):8.2f}{rate[count]:9.1f}"
                      f"{rate[count] / two:10.2f}{fair:9.2f}", flush=True)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
