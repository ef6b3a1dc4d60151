#!/usr/bin/env python3
"""What costs little because most of it is there already: an unchanged tree, an unchanged file, half a file.

    cargo build --release && python3 benches/again.py                     # 10,000 x 4 KiB, one file of 4 GiB
    python3 benches/again.py --big 512M --files 2000 --rounds 3           # smaller, quicker

Interleaved rounds, medians. Every row says beside what it was measured in the same round, and the ratio is how many times
as fast it was. Both ends share the machine's cores.

Needs: rsync, b3sum (cargo install b3sum). Ends only processes that it started.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from against_rsync import free_port, ft, make_sources, rsync, same, size, wait_for  # noqa: E402

MIB = 1 << 20
# Bytes a second of a link that neither hashing nor disk keeps busy.
RATE = "512M"


def run(server, port, client, env=None, told=False):
    """Wall seconds of the client and, if it is to tell (which costs a line for every step), the content bytes it sent."""
    env = {**os.environ, "FT_ROOTS": "off", **(env or {})}
    srv = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        wait_for(port)
        client = ["--json" if told and word == "-q" else word for word in client]
        begin = time.perf_counter()
        said = subprocess.run(client, stdout=subprocess.PIPE, check=True, env=env).stdout
        seconds = time.perf_counter() - begin
        last = said.splitlines()[-1] if said else b""
        return seconds, json.loads(last).get("bytes", 0) if last.startswith(b"{") else 0
    finally:
        srv.terminate()
        srv.wait(timeout=60)


def b3sum(path, threads=1):
    begin = time.perf_counter()
    subprocess.run(["b3sum", "--num-threads", str(threads), path], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def both(one, other):
    """Both sides' work at once, as it is done here: each b3sum with one thread of its own."""
    begin = time.perf_counter()
    running = [subprocess.Popen(["b3sum", "--num-threads", "1", path], stdout=subprocess.DEVNULL) for path in (one, other)]
    if any(one.wait(timeout=300) for one in running):
        raise SystemExit("b3sum failed")
    return time.perf_counter() - begin


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    p.add_argument("--binary", default=os.path.join(here, "../target/release/ft-cli"))
    p.add_argument("--files", type=int, default=10_000)
    p.add_argument("--big", type=size, default=4 << 30)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--dir", default=None, help="scratch folder")
    args = p.parse_args()
    binary = os.path.abspath(args.binary)
    for tool in ("rsync", "b3sum"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is missing")
    tmp = tempfile.mkdtemp(prefix="ft-bench-", dir=args.dir)
    rows = {}

    def note(row, seconds, base=None, text=""):
        rows.setdefault(row, []).append((seconds, base, text))

    def put(src, dst, *more, env=None, told=False):
        server, port, client = ft(binary, src, dst, False, "cached")
        return run(server, port, client + list(more), env, told)

    try:
        source, there, other, halves = (os.path.join(tmp, d) for d in ("src", "there", "other", "halves"))
        for d in (source, there, other, halves):
            os.mkdir(d)
        works = make_sources(source, args.files, 4096, args.big)
        trees = [src for _, src in works if os.path.isdir(src)]
        bigs = [src for _, src in works if os.path.isfile(src)]
        for src in trees + bigs:
            put(src, there)
        for src in trees:
            run(*rsync(tmp, src, other, False))
        time.sleep(2.5)  # what has just changed is not remembered
        cache = {"FT_ROOTS": os.path.join(tmp, "roots")}
        for src in bigs:
            put(src, there, "--checksum", env=cache)
        for _ in range(args.rounds):
            for src in trees:
                base, _ = run(*rsync(tmp, src, other, False))
                note("tree, unchanged / rsync", put(src, there)[0], base)
            for src in bigs:
                landed = os.path.join(halves, os.path.basename(src))
                note("file, unchanged", put(src, there)[0])
                base = b3sum(src)
                took = put(src, there, "--checksum")[0]
                note("file, --checksum / b3sum, 1 thread", took, base)
                note("the same / two b3sum at once", took, both(src, os.path.join(there, os.path.basename(src))))
                note("file, --checksum, roots remembered", put(src, there, "--checksum", env=cache)[0])
                half = os.path.getsize(src) // 2 // MIB * MIB
                for cut, rate in ((True, None), (False, None), (True, RATE), (False, RATE)):
                    partial(src, halves, half, cut)
                    note_resume(note, put, src, halves, half, base, cut, rate)
                    if not same(src, landed):
                        raise SystemExit("what landed is not what was sent")
        print(f"\n{'':48}{'wall s':>9}{'beside':>9}{'ratio':>8}")
        for row, got in rows.items():
            med = lambda values: statistics.median(values)
            base = med([b for _, b, _ in got]) if got[0][1] else None
            ratio = f"{med([b / s for s, b, _ in got]):8.2f}" if base else ""
            print(f"{row:48}{med([s for s, _, _ in got]):9.3f}" + (f"{base:9.3f}" if base else "") + ratio + "  " + got[-1][2])
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def partial(src, there, half, cut):
    """Gives the receiver what a session leaves that ended at half: that many bytes, as a partial. If the connection was cut, it
    has the time of the file that it is the beginning of; if the receiver was killed, that of its last write."""
    landed = os.path.join(there, os.path.basename(src))
    if os.path.exists(landed):
        os.unlink(landed)
    staging = os.path.join(there, ".ft-staging")
    os.makedirs(staging, mode=0o700, exist_ok=True)
    name = subprocess.run(["b3sum", "--no-names"], input=os.path.basename(src).encode(), capture_output=True, check=True)
    kept = os.path.join(staging, "p-" + name.stdout.decode().strip()[:40])
    with open(src, "rb") as a, open(kept, "wb") as b:
        left = half
        while left:
            left -= os.sendfile(b.fileno(), a.fileno(), None, min(left, 1 << 30))
    os.chmod(kept, 0o600)
    if cut:
        time = os.stat(src).st_mtime_ns
        os.utime(kept, ns=(time, time))


def note_resume(note, put, src, there, half, base, cut, rate):
    limit = ["--rate", rate] if rate else []
    row = f"resumed at 50 %, {'cut' if cut else 'receiver killed'}" + (f", {rate}B/s" if rate else "")
    seconds, moved = put(src, there, *limit, told=True)
    rest = os.path.getsize(src) - half
    rest_alone = put_rest(put, src, there, half, limit)
    # The same transfer of a file that is half as long: what is left is the price of finding out where to go on.
    price = f"{seconds - rest_alone:+.3f} s, {(moved - rest) / MIB:+.1f} MiB of content beside the rest"
    note(row + " / rest", seconds, rest_alone, price)
    if not cut and not rate:
        note("re-hash alone / b3sum of the half", max(seconds - rest_alone, 1e-3), base * half / os.path.getsize(src))


def put_rest(put, src, there, half, limit):
    rest = src + ".rest"
    if not os.path.exists(rest):
        with open(src, "rb") as a, open(rest, "wb") as b:
            a.seek(half)
            shutil.copyfileobj(a, b, 1 << 24)
    landed = os.path.join(there, os.path.basename(rest))
    if os.path.exists(landed):
        os.unlink(landed)
    return put(rest, there, *limit)[0]


if __name__ == "__main__":
    main()
