#!/usr/bin/env python3
"""Whole transfers over loopback, ft-cli beside an rsync daemon and tar | nc, interleaved, landings compared byte by byte.

    cargo build --release && python3 benches/against_rsync.py            # 10,000 x 4 KiB and one file of 4 GiB
    python3 benches/against_rsync.py --big 1G --files 2000 --rounds 3    # smaller, quicker
    python3 benches/against_rsync.py --big 0 --rounds 7 --image --rows push,tar    # small files, pushed

What to know before reading the figures:
- ft-cli verifies by BLAKE3 on both sides and, unless told otherwise, syncs files and folders before it says stored.
  rsync syncs nothing. `durable` rows of ft-cli therefore do more work than the rsync row that they are divided by;
  the column `+ sync` adds to every row the sync of the file system that is still owed after it.
- Some file systems without a journal take a millisecond to make a file again after deletes. With `--image` (root) the
  landings go to a fresh journaled ext4 in a loop-mounted file; it is unmounted and removed at the end.
- Both ends share the machine's cores. Ratios within one run mean something, single times do not.

Needs: rsync, tar, nc (apt install rsync netcat-openbsd); for --image: mount, mkfs.ext4. Ends only processes that it
started.
"""
import argparse, filecmp, os, random, re, resource, shlex, shutil, socket, statistics, subprocess, sys, tempfile, threading, time

import memory

HERE = os.path.dirname(os.path.abspath(__file__))
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) * UNITS[unit]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    """Looks into the kernel's list: a connection to try would be the only one that nc takes."""
    listens = re.compile(rf"^ *\d+: [0-9A-F]+:{port:04X} 0+:0000 0A ", re.M)
    for _ in range(200):
        with open("/proc/net/tcp") as f:
            if listens.search(f.read()):
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def peak_kib(pid):
    """Highest resident memory of a process, as the kernel keeps it, children not included; 0 once it has ended."""
    with open(f"/proc/{pid}/status") as f:
        m = re.search(r"VmHWM:\s+(\d+)", f.read())
    return int(m[1]) if m else 0


class Peak:
    """The same, by sampling: of a process that will have ended when it is asked for."""

    def __init__(self, pid):
        self.pid, self.kib, self.on = pid, 0, True
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def look(self):
        try:
            self.kib = max(self.kib, peak_kib(self.pid))
        except OSError:
            pass

    def sample(self):
        while self.on:
            self.look()
            time.sleep(0.02)

    def stop(self):
        self.look()
        self.on = False
        self.thread.join()
        return self.kib / 1024


def run(server, port, client):
    """One transfer; wall seconds of the client (of a shell line, until its server has ended too), CPU seconds and peak MiB
    of both sides."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shell = isinstance(client, str)
    if shell:
        server, client = (["bash", "-o", "pipefail", "-c", line] for line in (server, client))
    srv = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        server_peak = Peak(srv.pid)
        begin = time.perf_counter()
        cli = subprocess.Popen(client, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        client_peak = Peak(cli.pid)
        _, err = cli.communicate(timeout=600)
        if shell and srv.wait(timeout=60) != 0:
            raise SystemExit(f"{server} failed")
        wall = time.perf_counter() - begin
        peaks = client_peak.stop(), server_peak.stop()
        if cli.returncode != 0:
            raise SystemExit(f"{client} failed: {err.decode(errors='replace')}")
        begin = time.perf_counter()
        os.sync()
        owed = time.perf_counter() - begin
    finally:
        if srv.poll() is None:
            srv.terminate()
        srv.wait(timeout=30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, wall + owed, cpu, peaks


def rsync(tmp, src, dst, pull):
    port = free_port()
    conf = os.path.join(tmp, f"rsyncd-{port}.conf")
    root = os.path.dirname(src) if pull else dst
    with open(conf, "w") as f:
        f.write(f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nlog file = /dev/null\n"
                f"[m]\npath = {root}\nread only = false\n")
    server = ["rsync", "--daemon", "--no-detach", f"--port={port}", f"--config={conf}", "--address=127.0.0.1"]
    url = f"rsync://127.0.0.1:{port}/m/"
    client = ["rsync", "-a", url + os.path.basename(src), dst + "/"] if pull else ["rsync", "-a", src, url]
    return server, port, client


def tar_nc(src, dst):
    """Two shell lines. What is measured ends when the receiving tar has."""
    port = free_port()
    at, name = shlex.quote(os.path.dirname(src)), shlex.quote(os.path.basename(src))
    return (f"nc -d -l 127.0.0.1 {port} | tar -xf - -C {shlex.quote(dst)}", port,
            f"tar -cf - -C {at} {name} | nc -N 127.0.0.1 {port}")


def ft(binary, src, dst, pull, durability):
    port = free_port()
    root = os.path.dirname(src) if pull else dst
    server = [binary, "serve", root, "--listen", f"127.0.0.1:{port}", "-q"]
    where = f"127.0.0.1:{port}"
    client = [binary, "get", f"{where}/{os.path.basename(src)}", dst] if pull else [binary, "put", src, where]
    if not pull:
        server += ["--durability", durability]
    return server, port, client + ["-q", "--durability", durability]


def same(a, b):
    if os.path.isfile(a):
        return filecmp.cmp(a, b, shallow=False)
    cmp = filecmp.dircmp(a, b, ignore=[], hide=[])
    if cmp.left_only or cmp.right_only or cmp.funny_files:
        return False
    _, bad, odd = filecmp.cmpfiles(a, b, cmp.common_files, shallow=False)
    return not bad and not odd and all(same(os.path.join(a, d), os.path.join(b, d)) for d in cmp.common_dirs)


def make_sources(where, files, each, big):
    rng = random.Random(1)
    tree = os.path.join(where, "tree")
    for i in range(files):
        folder = os.path.join(tree, f"d{i % 100:02}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"f{i}"), "wb") as f:
            f.write(rng.randbytes(each))
    sources = [(f"{files} files of {each} bytes", tree)] if files else []
    if not big:
        return sources
    one = os.path.join(where, "big")
    with open(one, "wb") as f:
        for _ in range(0, big, 1 << 20):
            f.write(rng.randbytes(min(1 << 20, big)))
    return sources + [(f"one file of {big >> 20} MiB", one)]


def mount_image(tmp, bytes_):
    image, at = os.path.join(tmp, "image"), os.path.join(tmp, "mnt")
    os.mkdir(at)
    with open(image, "wb") as f:
        f.truncate(bytes_)
    subprocess.run(["mkfs.ext4", "-q", "-O", "has_journal", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    return at


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.path.join(HERE, "../target/release/ft-cli"))
    p.add_argument("--files", type=int, default=10_000)
    p.add_argument("--each", type=size, default=4096)
    p.add_argument("--big", type=size, default=4 << 30)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--rows", default="", help="only rows that have one of these words (commas between) in their name")
    p.add_argument("--image", action="store_true", help="land on a fresh journaled ext4 (root)")
    p.add_argument("--dir", default=None, help="scratch folder")
    args = p.parse_args()
    for tool in ("rsync", "tar", "nc"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is missing: apt install rsync tar netcat-openbsd")
    binary = os.path.abspath(args.binary)
    if not os.access(binary, os.X_OK):
        raise SystemExit(f"{binary} is missing: cargo build --release")
    tmp = tempfile.mkdtemp(prefix="ft-bench-", dir=args.dir)
    mounted = None
    try:
        source = os.path.join(tmp, "src")
        os.mkdir(source)
        works = make_sources(source, args.files, args.each, args.big)
        land = tmp
        if args.image:
            mounted = land = mount_image(tmp, 2 * args.big + (4 << 30))
        for name, src in works:
            total = args.big if os.path.isfile(src) else args.files * args.each
            rows = {
                "rsync push": lambda d: rsync(tmp, src, d, False),
                "ft push, durable": lambda d: ft(binary, src, d, False, "durable"),
                "ft push, cached": lambda d: ft(binary, src, d, False, "cached"),
                "rsync pull": lambda d: rsync(tmp, src, d, True),
                "ft pull, durable": lambda d: ft(binary, src, d, True, "durable"),
                "ft pull, cached": lambda d: ft(binary, src, d, True, "cached"),
                "tar | nc": lambda d: tar_nc(src, d),
            }
            wanted = args.rows.split(",")
            rows = {row: make for row, make in rows.items() if any(word in row for word in wanted)}
            results = {row: [] for row in rows}
            for round_ in range(args.rounds):
                for row, make in rows.items():
                    dst = os.path.join(land, f"dst-{round_}-{row.replace(' ', '').replace(',', '-')}")
                    os.mkdir(dst)
                    os.sync()
                    memory.warm(2 * total + memory.SMALL)
                    result = run(*make(dst))
                    if not same(src, os.path.join(dst, os.path.basename(src))):
                        raise SystemExit(f"{row}: what landed is not what was sent")
                    results[row].append(result)
                    shutil.rmtree(dst)
            print(f"\n{name}, {args.rounds} rounds, medians; ratio = wall of the row / wall of rsync in the same round\n")
            print(f"{'':18}{'wall s':>8}{'+ sync':>8}{'cpu s':>8}{'ratio':>8}{'MiB client':>12}{'MiB server':>12}")
            for row, got in results.items():
                base = results.get("rsync pull" if "pull" in row else "rsync push", got)
                med = lambda values: statistics.median(values)
                ratio = med([g[0] / b[0] for g, b in zip(got, base)])
                print(f"{row:18}{med([g[0] for g in got]):8.2f}{med([g[1] for g in got]):8.2f}{med([g[2] for g in got]):8.2f}"
                      f"{ratio:8.2f}{max(g[3][0] for g in got):12.1f}{max(g[3][1] for g in got):12.1f}", flush=True)
    finally:
        if mounted:
            subprocess.run(["umount", mounted], check=False)
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
