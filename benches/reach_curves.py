#!/usr/bin/env python3
"""How the cost of a push grows with the path's latency, and with the number of clients at once.

    cargo build --release && python3 benches/reach_curves.py            # as root, for the paths; some three minutes
    python3 benches/reach_curves.py --rtt 0 50 --clients 1 2 --rounds 1 # a look

Latency: the wall time of a whole program, start to exit, over a path of its own (benches/path.py). The first column has no
delay: what is above it, divided by the round-trip time, is how many round trips the work took. Clients: all are started at
once, each pushes a file of `--each` bytes of its own over loopback; the total grows with their number. Medians of
`--rounds`; prints both tables (as Markdown) and writes their plots to `--out`: cost-latency.svg and cost-connections.svg.
Every landing is compared. Ends only processes that it started.
"""
import argparse, os, shutil, statistics, subprocess, tempfile, time

from against_rsync import HERE, same, size
from connections import clients, push
from cost_curves import make_file, make_tree, shown, svg, table
from long_paths import PORT, wait_for
from path import Path, end_in_order


def over_path(args, path, src, dst):
    os.mkdir(dst)
    at = f"{Path.host}:{PORT}"
    server = subprocess.Popen(path.run(path.far, [args.binary, "serve", dst, "--listen", at, "-q", "--insecure"]), stderr=subprocess.DEVNULL)
    try:
        wait_for(path, server)
        begin = time.perf_counter()
        subprocess.run(path.run(path.near, [args.binary, "put", src, at, "-q", "--insecure"]), check=True, timeout=300, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - begin
    finally:
        server.terminate()
        server.wait(timeout=60)
    landing = os.path.join(dst, os.path.basename(src))
    if not same(src, landing):
        raise SystemExit(f"{src}: what landed is not what was sent")
    shutil.rmtree(dst)
    return wall


def latency(args, tmp):
    sources = {"1 KiB": os.path.join(tmp, "tiny"), "100 files of 4 KiB": os.path.join(tmp, "hundred"),
               "1,000 files of 4 KiB": os.path.join(tmp, "thousand"), "64 MiB": os.path.join(tmp, "large")}
    make_file(sources["1 KiB"], 1 << 10)
    make_tree(sources["100 files of 4 KiB"], 100, 4096)
    make_tree(sources["1,000 files of 4 KiB"], 1000, 4096)
    make_file(sources["64 MiB"], 64 << 20)
    got = {rtt: {name: [] for name in sources} for rtt in args.rtt}
    for _ in range(args.rounds):
        for rtt in args.rtt:
            for name, src in sources.items():
                # A path of its own: what TCP has learned of one must not help the next.
                with Path(rtt) as path:
                    got[rtt][name].append(over_path(args, path, src, os.path.join(tmp, "dst")))
    median = {rtt: {name: statistics.median(times) for name, times in row.items()} for rtt, row in got.items()}
    base = median[min(args.rtt)]
    rows = []
    for rtt in args.rtt:
        trips = lambda name: f" ({(median[rtt][name] - base[name]) / ((rtt - min(args.rtt)) / 1000):.1f})" if rtt > min(args.rtt) else ""
        rows.append([f"{rtt:g} ms", *(f"{median[rtt][name]:.3f}{trips(name)}" for name in sources)])
    lines = [(name, [(rtt, median[rtt][name]) for rtt in args.rtt if rtt > 0]) for name in sources]
    return table(["round trip", *(f"{name}, s (round trips)" for name in sources)], rows), svg(
        "A push over a path, durable: seconds against latency", "round-trip time, ms", lines, lambda x: f"{x:g}")


def connections(args, tmp):
    args.durability = "cached"
    folder = os.path.join(tmp, "each")
    os.mkdir(folder)
    files = [os.path.join(folder, f"c{n}") for n in range(max(args.clients))]
    for path in files:
        make_file(path, args.each)
    sources = {count: files[:count] for count in args.clients}
    got = {count: [] for count in args.clients}
    for _ in range(args.rounds):
        for count in args.clients:
            seconds, cpu, memory = clients(args, tmp, sources[count], push)
            got[count].append((max(seconds), cpu, memory))
    median = {count: [statistics.median(column) for column in zip(*runs)] for count, runs in got.items()}
    rows = [[f"{count}", f"{m[0]:.2f}", f"{m[1]:.2f}", f"{1000 * m[0] / count:.1f}", f"{m[2]:.1f}"] for count, m in median.items()]
    lines = [(name, [(count, median[count][i]) for count in args.clients]) for i, name in enumerate(("wall, s", "CPU, s", "MiB, server"))]
    return table(["clients", "wall, s", "CPU, s", "ms a client", "MiB, server"], rows), svg(
        f"Clients at once over loopback, {shown(args.each)} each, cached", "clients", lines, lambda x: f"{x:g}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.path.join(HERE, "../target/release/ft-cli"))
    p.add_argument("--rtt", type=float, nargs="*", default=[0, 2, 5, 10, 20, 50, 100, 200], help="milliseconds, the least first")
    p.add_argument("--clients", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64, 128])
    p.add_argument("--each", type=size, default=16 << 20)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--dir", help="scratch folder")
    p.add_argument("--out", default=os.path.join(HERE, "../docs/pictures"))
    args = p.parse_args()
    args.binary = os.path.abspath(args.binary)
    end_in_order()
    tmp = tempfile.mkdtemp(prefix="ft-reach-", dir=args.dir)
    try:
        for name, values, curve in (("latency", args.rtt, latency), ("connections", args.clients, connections)):
            if values:
                text, plot = curve(args, tmp)
                print(text + "\n", flush=True)
                with open(os.path.join(args.out, f"cost-{name}.svg"), "w") as f:
                    f.write(plot)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
