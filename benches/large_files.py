#!/usr/bin/env python3
"""One large file over loopback: ft-cli beside rsync, nginx -> curl and a bare program, interleaved, landings compared.

    cargo build --release && cargo build --release -p ft-cli --example bare
    python3 benches/large_files.py                             # 1 GiB, 5 rounds
    python3 benches/large_files.py --size 4G --rounds 5

Rows: a push and a pull each of rsync and ft-cli (cached: in the page cache; durable: synced), nginx -> curl, which verifies
nothing, and `benches/bare.rs`, which is what the machine can do: sendfile, splice, BLAKE3 beside, no protocol.

Columns: wall seconds of the transfer; the same with the sync that is still owed after it; CPU seconds a GiB and peak memory of
both sides; then ratios, round by round, as medians: how many times faster than a peer (`x`), and how many times faster than
a peer that has to sync as well (`x synced`), which is what a durable row is to be held against.

Both ends share the machine's cores. Ratios within one run mean something, single times do not.

Needs: rsync, nginx, curl. Ends only processes that it started.
"""
import argparse, os, shutil, statistics, tempfile, types

import against_rsync as common
import memory

PEERS = ["rsync push", "rsync pull", "nginx -> curl", "bare"]


def nginx(tmp, source, landing):
    port = common.free_port()
    conf = os.path.join(tmp, f"nginx-{port}.conf")
    with open(conf, "w") as f:
        f.write(f"daemon off; master_process off; pid {tmp}/nginx.pid; error_log /dev/null; events {{}}\n"
                f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {os.path.dirname(source)}; }} }}\n")
    name = os.path.basename(source)
    return ["nginx", "-c", conf], port, ["curl", "-s", "-o", os.path.join(landing, name), f"http://127.0.0.1:{port}/{name}"]


def bare(program, source, landing):
    port = common.free_port()
    copy = os.path.join(landing, os.path.basename(source))
    return [program, "receive", copy, str(port)], port, [program, "send", source, f"127.0.0.1:{port}"]


def rows(args, tmp, source, landing):
    def ft(pull, level):
        return lambda: common.ft(args.binary, source, landing, pull, level)
    return {
        "rsync push": lambda: common.rsync(tmp, source, landing, False),
        "rsync pull": lambda: common.rsync(tmp, source, landing, True),
        "nginx -> curl": lambda: nginx(tmp, source, landing),
        "bare": lambda: bare(args.bare, source, landing),
        "push cached": ft(False, "cached"),
        "push durable": ft(False, "durable"),
        "pull cached": ft(True, "cached"),
        "pull durable": ft(True, "durable"),
    }


def main():
    here = os.path.join(common.HERE, "..", "target", "release")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1G")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default=os.path.join(here, "ft-cli"))
    parser.add_argument("--bare", default=os.path.join(here, "examples", "bare"))
    parser.add_argument("--where", help="folder for sources and landings (default: the system's for temporary files)")
    parser.add_argument("--only", help="rows that begin with one of these words, comma-separated")
    args = parser.parse_args()
    tmp = tempfile.mkdtemp(prefix="ft-large-", dir=args.where)
    try:
        source = os.path.join(tmp, "sources", "large")
        landing = os.path.join(tmp, "landing")
        os.makedirs(os.path.dirname(source))
        size = common.size(args.size)
        with open(source, "wb") as f:
            for _ in range(size >> 20):
                f.write(os.urandom(1 << 20))
        found = rows(args, tmp, source, landing)
        if args.only:
            found = {name: row for name, row in found.items() if name.startswith(tuple(args.only.split(",")))}
        figures = {name: [] for name in found}
        for _ in range(args.rounds):
            for name, row in found.items():
                os.makedirs(landing)
                memory.warm(2 * size)
                result = common.run(*row())
                if not common.same(source, os.path.join(landing, "large")):
                    raise SystemExit(f"{name}: what landed is not what was sent")
                figures[name].append(types.SimpleNamespace(wall=result[0], synced=result[1], cpu=result[2], peaks=result[3]))
                shutil.rmtree(landing)
                os.sync()
        show(figures, size / (1 << 30))
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def show(figures, gib):
    peers = [name for name in PEERS if name in figures]
    print(f"{'':16}{'wall':>7}{'+ sync':>8}{'CPU/GiB':>9}{'MiB':>10}  times faster than " + ", ".join(peers) + " (synced)")
    for name, runs in figures.items():
        def median(get):
            return statistics.median(get(run) for run in runs)
        peaks = "/".join(f"{median(lambda run: run.peaks[i]):.0f}" for i in range(2))
        ratios = []
        for peer in peers:
            plain = statistics.median(b.wall / a.wall for a, b in zip(runs, figures[peer]))
            owing = statistics.median(b.synced / a.wall for a, b in zip(runs, figures[peer]))
            ratios.append(f"{plain:5.2f} ({owing:.2f})")
        print(f"{name:16}{median(lambda run: run.wall):7.2f}{median(lambda run: run.synced):8.2f}"
              f"{median(lambda run: run.cpu) / gib:9.2f}{peaks:>10}  " + "  ".join(ratios))


if __name__ == "__main__":
    main()
