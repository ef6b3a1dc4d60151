#!/usr/bin/env python3
"""Long paths: small things in round trips, one file of 256 MiB in seconds, ft-cli beside rsync and nginx -> curl.

    cargo build --release && python3 benches/long_paths.py             # as root; about ten minutes
    python3 benches/long_paths.py --only 256M-100ms --rounds 3         # one row
    python3 benches/long_paths.py --user nobody ...                    # without privileges: smaller send buffers

Nothing is encrypted, as with the peers; TLS costs one round trip more. Every peer runs once a round (A B C A B C ...) over a path of its own (benches/path.py), all systems' settings as they
are. What landed is compared with what was sent. `ft push xN` has --streams N. `plain xN bbr` is a bare program that sends zeros over N connections with
that congestion control and nobody stores or checks them: what the path gives. Ratios are medians over rounds of (time of
that row / time of ft push), so that above 1 ft is the faster. Of small things `RTT` counts round trips: the time beyond that
over the same path without delay, by the delay; that is, without starting programs and syncing disks. Needs root for the namespaces; rsync, nginx-light and curl
for the peers, which are left out where they are missing.
"""
import argparse, os, shutil, socket, statistics, subprocess, sys, tempfile, time

from against_rsync import HERE, make_sources, same, size
from path import Path, end_in_order

PORT = 7070
SINK = """
import socket, threading
listener = socket.create_server(("%s", %d), backlog=64)
def drain(c):
    while c.recv(1 << 20): pass
    c.sendall(b"x")
while True:
    threading.Thread(target=drain, args=(listener.accept()[0],), daemon=True).start()
"""
SEND = """
import socket, sys, threading
host, port, count, name, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
block = bytes(1 << 20)
def send():
    with socket.socket() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        s.connect((host, port))
        for _ in range(total // count >> 20): s.sendall(block)
        s.shutdown(socket.SHUT_WR)
        s.recv(1)
threads = [threading.Thread(target=send) for _ in range(count)]
[t.start() for t in threads]; [t.join() for t in threads]
"""


class Peer:
    """A server for the far side and a client for the near one; `lands` says where the client's work can be seen."""

    def __init__(self, server, client, lands=True):
        self.server, self.client, self.lands = server, client, lands


def peers(args, tmp, src, dst, total):
    """What can run here, by name. The near side has `src`, the far side serves `dst`, or the other way round for pulls."""
    host, at = Path.host, f"{Path.host}:{PORT}"
    plain = [] if args.no_insecure else ["--insecure"]
    serve = lambda root: [args.binary, "serve", root, "--listen", at, "-q", "--durability", args.durability, *plain]
    own = ["-q", "--durability", args.durability, *plain]
    found = {
        "ft push": Peer(serve(dst), [args.binary, "put", src, at, *own, *args.put]),
        **{f"ft push x{n}": Peer(serve(dst), [args.binary, "put", src, at, *own, "--streams", str(n)]) for n in (1, 4)},
        "ft pull": Peer(serve(os.path.dirname(src)), [args.binary, "get", f"{at}/{os.path.basename(src)}", dst, *own]),
    }
    if total < 1 << 20:
        found = {name: peer for name, peer in found.items() if " x" not in name}
    if shutil.which("rsync"):
        conf = os.path.join(tmp, "rsyncd.conf")
        with open(conf, "w") as f:
            f.write(f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nlog file = /dev/null\n"
                    f"[d]\npath = {dst}\nread only = false\n[s]\npath = {os.path.dirname(src)}\n")
        daemon = ["rsync", "--daemon", "--no-detach", f"--port={PORT}", f"--config={conf}", f"--address={host}"]
        found["rsync push"] = Peer(daemon, ["rsync", "-a", "--whole-file", src, f"rsync://{at}/d/"])
    if shutil.which("nginx") and shutil.which("curl") and os.path.isfile(src):
        conf = os.path.join(tmp, "nginx.conf")
        with open(conf, "w") as f:
            f.write(f"daemon off; master_process off; pid {tmp}/nginx.pid; error_log /dev/null; user root;\n"
                    "events {}\nhttp { access_log off; sendfile on; tcp_nopush on; client_body_temp_path " + tmp + "/body;"
                    f"server {{ listen {at}; root {os.path.dirname(src)}; }} }}\n")
        land = os.path.join(dst, os.path.basename(src))
        found["nginx -> curl"] = Peer(["nginx", "-c", conf], ["curl", "-s", "-o", land, f"http://{at}/{os.path.basename(src)}"])
    for count, name in ((1, "bbr"), (4, "bbr"), (1, "cubic"), (4, "cubic")):
        if total >= 1 << 20:
            found[f"plain x{count} {name}"] = Peer([sys.executable, "-c", SINK % (host, PORT)],
                [sys.executable, "-c", SEND, host, str(PORT), str(count), name, str(total)], lands=False)
    return found


def wait_for(path, server):
    for _ in range(300):
        look = path.run(path.far, ["ss", "-Hltn", f"sport = :{PORT}"])
        if subprocess.run(look, capture_output=True).stdout:
            return
        if server.poll() is not None:
            raise SystemExit(f"a server ended: {server.args}")
        time.sleep(0.02)
    raise SystemExit(f"nothing listens: {server.args}")


def once(args, path, peer):
    if args.congestion:
        for side in (path.near, path.far):
            set_it = ["sysctl", "-qw", f"net.ipv4.tcp_congestion_control={args.congestion}"]
            subprocess.run(path.run(side, set_it), check=True)
    as_user = ["setpriv", f"--reuid={args.user}", "--clear-groups"] if args.user else []
    server = subprocess.Popen(path.run(path.far, [*as_user, *peer.server]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(path, server)
        begin = time.perf_counter()
        client = subprocess.run(path.run(path.near, [*as_user, *peer.client]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=args.limit)
        wall = time.perf_counter() - begin
        if client.returncode:
            raise SystemExit(f"{peer.client} failed: {client.stderr.decode(errors='replace')}")
        return wall
    except subprocess.TimeoutExpired:
        return float(args.limit)
    finally:
        server.terminate()
        server.wait(timeout=30)


def main():
    rows = {
        # name: (sources, (RTT ms, Mbit/s, queue KiB, loss %))
        "1K-50ms": ((1, 1024), (50, 0, 4096, 0)),
        "100x4K-50ms": ((100, 4096), (50, 0, 4096, 0)),
        "1000x4K-50ms": ((1000, 4096), (50, 0, 4096, 0)),
        "256M-50ms": ((0, 256 << 20), (50, 0, 4096, 0)),
        "256M-50ms-loss": ((0, 256 << 20), (50, 0, 4096, 0.1)),
        "256M-100ms": ((0, 256 << 20), (100, 1000, 4096, 0)),
        "256M-100ms-loss": ((0, 256 << 20), (100, 1000, 4096, 0.1)),
        "2G-100ms": ((0, 2 << 30), (100, 1000, 4096, 0)),
    }
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.path.join(HERE, "../target/release/ft-cli"))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", action="append", choices=rows, help="a row; may be repeated")
    p.add_argument("--peer", action="append", help="a peer by name; may be repeated; ft push is always there")
    p.add_argument("--durability", default="durable")
    p.add_argument("--put", action="append", default=[], metavar="OPTION", help="for ft push, as in --put=--streams=4")
    p.add_argument("--limit", type=int, default=60, help="seconds after which a run is stopped and counts as that")
    p.add_argument("--no-insecure", action="store_true", help="for a binary that does not encrypt")
    p.add_argument("--congestion", help="what the system uses where nobody chooses: cubic, bbr [default: as it is]")
    p.add_argument("--user", help="run servers and clients as that user")
    p.add_argument("--dir", help="scratch folder")
    args = p.parse_args()
    args.binary = os.path.abspath(args.binary)
    end_in_order()
    tmp = tempfile.mkdtemp(prefix="ft-paths-", dir=args.dir)
    os.chmod(tmp, 0o777)
    try:
        for row in args.only or rows:
            (files, each), (rtt, mbit, queue, loss) = rows[row]
            source = os.path.join(tmp, row)
            os.mkdir(source)
            if files == 1:
                src = os.path.join(source, "small")
                with open(src, "wb") as f:
                    f.write(os.urandom(each))
            else:
                made = make_sources(source, files, 4096, 0 if files else each)
                src = made[0 if files else -1][1]
            total = each * max(files, 1)
            names = list(peers(args, tmp, src, tmp, total))
            names = [n for n in names if not args.peer or n == "ft push" or n in args.peer]
            times = {name: [] for name in names}
            near = {name: [0.0] for name in names}
            plan = [(name, rtt, times) for name in names]
            if files:
                near = {name: [] for name in names}
                plan += [(name, 0, near) for name in names]
            for round_ in range(args.rounds):
                for name, delay, into in plan:
                    dst = os.path.join(tmp, "landed")
                    os.mkdir(dst)
                    os.chmod(dst, 0o777)
                    with Path(delay, mbit, queue, loss) as path:
                        peer = peers(args, tmp, src, dst, total)[name]
                        wall = once(args, path, peer)
                    if peer.lands and wall < args.limit and not same(src, os.path.join(dst, os.path.basename(src))):
                        raise SystemExit(f"{name}: what landed is not what was sent")
                    into[name].append(wall)
                    shutil.rmtree(dst)
            how = f"{rtt} ms" + (f", {mbit} Mbit/s" if mbit else "") + (f", {loss} % loss" if loss else "")
            print(f"\n{row}: {how}, {args.rounds} rounds, medians\n{'':18}{'s':>8}{'RTT':>8}{'MB/s':>8}{'/ ft push':>11}")
            for name, walls in times.items():
                wall = statistics.median(walls)
                ratio = statistics.median([w / o for w, o in zip(walls, times["ft push"])])
                trips = (wall - statistics.median(near[name])) * 1000 / rtt
                print(f"{name:18}{wall:8.3f}{trips:8.1f}{total / wall / 1e6:8.1f}{ratio:11.2f}", flush=True)
            shutil.rmtree(source)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
