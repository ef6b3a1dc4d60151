#!/usr/bin/env python3
"""A good client's throughput while 1,000 silent and 1,000 dripping connections sit on the server, and the server's memory.

    cargo build --release && python3 benches/flood.py
    python3 benches/flood.py --silent 100 --dripping 100 --rounds 2 --size 64M      # smaller, quicker

The server asks for TLS and an authorised key, and the bad clients have one. Three floods: `before` (connections that say
nothing, or a byte of a TLS hello now and then), `login` (a TLS login with that key, then nothing, or a byte of HELLO now and
then), `hello` (login, HELLO and OFFER, then nothing, or a byte of a frame now and then). They come from eight addresses of this
machine, which has no bound for its own; whoever is closed comes back after `--again` seconds. Between two transfers under a flood
there is one without, after the same wait, and the ratio is taken round by round. `resident` is the most that the server ever had
(VmHWM). `in` is the time from the start of the good client's program until its last byte, so it holds every wait for a place.

Both sides and the flood share the machine's cores: what the flood itself costs is in the ratio. Needs: openssl. Ends only
processes that it started.
"""
import argparse, asyncio, multiprocessing, os, resource, shutil, ssl, statistics, subprocess, tempfile, time

import memory
from against_rsync import HERE, free_port, peak_kib, size, wait_for

# Seconds before each transfer: all bad clients have come, and those that sit have sat for longer than anybody has to wait for them.
SETTLE = 12


def crc32c(data):
    table = crc32c.__dict__.setdefault("table", [])
    if not table:
        for n in range(256):
            for _ in range(8):
                n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return (crc ^ 0xFFFFFFFF).to_bytes(4, "big")


def frame(kind, stream, payload=b""):
    header = len(payload).to_bytes(4, "big") + bytes([kind, 0, 0, 0]) + bytes(8) + stream.to_bytes(4, "big") + crc32c(payload)
    return header + crc32c(header) + payload


def greeting():
    begin = b"\x89FT/\r\n\x1a\n\0\x01\0\x01"
    return begin + crc32c(begin) + frame(1, 0, b"\x01" + bytes(16) + b"\x03bad")


def offer(name):
    meta = b"\x01\x01\xa4" + bytes(8) + b"\xff" * 4 + (1 << 20).to_bytes(8, "big") + bytes(2)
    path = b"\0\x01" + len(name).to_bytes(2, "big") + name
    return frame(0x20, 1, bytes(4) + b"\x02\0\x01" + meta + path)


class Bad:
    """One bad client, for ever."""

    def __init__(self, number, kind, drips, args, context, counts):
        self.number, self.kind, self.drips, self.args, self.context, self.counts = number, kind, drips, args, context, counts

    async def run(self):
        await asyncio.sleep(self.number * 0.001)
        while True:
            try:
                await self.sit()
            except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(self.args.again)

    async def sit(self):
        tls = self.context if self.kind != "before" else None
        local = (f"127.0.0.{2 + self.number % 8}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.args.port, local_addr=local, ssl=tls,
                                                       server_hostname="" if tls else None)
        self.counts[0] += 1
        try:
            drip = {"before": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), "login": greeting(), "hello": frame(0x80, 1) * 100}
            bytes_left = iter(drip[self.kind])
            if self.kind == "hello":
                writer.write(greeting() + offer(b"bad-%d" % self.number))
            gone = asyncio.ensure_future(self.drain(reader))
            while not gone.done():
                await asyncio.wait([gone], timeout=2)
                if self.drips and not gone.done():
                    writer.write(bytes([next(bytes_left, 0)]))
        finally:
            self.counts[0] -= 1
            writer.transport.abort()

    @staticmethod
    async def drain(reader):
        try:
            while await reader.read(4096):
                pass
        except (OSError, ssl.SSLError):
            pass


def flood(kind, args, count):
    """In a process of its own: says now and then how many of them are in."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)

    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["ft/1"])
        context.load_cert_chain(args.cert, args.key)
        counts = [0]
        bads = [Bad(n, kind, n % 2 == 1, args, context, counts) for n in range(args.silent + args.dripping)]
        tasks = [asyncio.ensure_future(bad.run()) for bad in bads]
        while tasks:
            count.value = counts[0]
            await asyncio.sleep(0.2)

    asyncio.run(main())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default=os.path.join(HERE, "../target/release/ft-cli"))
    p.add_argument("--silent", type=int, default=1000)
    p.add_argument("--dripping", type=int, default=1000)
    p.add_argument("--size", type=size, default=1 << 30)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--again", type=float, default=10)
    p.add_argument("--kinds", nargs="+", default=["before", "login", "hello"])
    p.add_argument("--dir", help="scratch folder")
    args = p.parse_args()
    binary = os.path.abspath(args.binary)
    tmp = tempfile.mkdtemp(prefix="ft-flood-", dir=args.dir)
    at = lambda name: os.path.join(tmp, name)
    env = lambda home: {**os.environ, "XDG_CONFIG_HOME": at(home), "FT_ROOTS": "off"}
    key = lambda home, *more: subprocess.run([binary, "key", *more], env=env(home), capture_output=True, text=True, check=True).stdout.strip()
    try:
        os.mkdir(at("inbox"))
        with open(at("file"), "wb") as f:
            block = os.urandom(1 << 20)
            for _ in range(args.size >> 20):
                f.write(block)
        args.cert, args.key = at("bad.crt"), at("bad.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=bad", "-keyout", args.key,
                        "-out", args.cert], check=True, capture_output=True)
        os.chmod(args.key, 0o600)
        with open(at("friends"), "w") as f:
            f.write(f"{key('good')} read write\n{key('bad', '--identity', args.key)} read write\n")
        args.port = free_port()
        server = subprocess.Popen([binary, "serve", at("inbox"), "--listen", f"127.0.0.1:{args.port}", "-q", "--tls", "--authorized",
                                   at("friends"), "--durability", "cached"], env=env("server"), stdout=subprocess.DEVNULL)
        wait_for(args.port)
        theirs = key("server")

        def put():
            landed = at("inbox/file")
            if os.path.exists(landed):
                os.unlink(landed)
            # What the transfer before left to be written back must not be paid by this one.
            os.sync()
            memory.warm(2 * args.size)
            begin = time.perf_counter()
            subprocess.run([binary, "put", at("file"), f"127.0.0.1:{args.port}", "-q", "--tls", "--peer", theirs, "--durability", "cached",
                            "--compress", "off", "--compare", "none"], env=env("good"), check=True)
            return time.perf_counter() - begin

        put()
        print(f"{'flood':8}{'of them in':>11}{'alone s':>9}{'in s':>8}{'ratio':>7}{'worst':>7}{'resident MiB':>14}")
        for kind in args.kinds:
            rows = []
            for _ in range(args.rounds):
                # The same wait as before the one under a flood: what went before (2,000 ends of connections) is over.
                time.sleep(SETTLE)
                alone = put()
                count = multiprocessing.Value("i", 0)
                bad = multiprocessing.Process(target=flood, args=(kind, args, count), daemon=True)
                bad.start()
                time.sleep(SETTLE)
                inside = count.value
                rows.append((alone, put(), inside))
                bad.terminate()
                bad.join()
                time.sleep(0.5)
            med = lambda values: statistics.median(list(values))
            ratios = [a / b for a, b, _ in rows]
            print(f"{kind:8}{med(r[2] for r in rows):11.0f}{med(r[0] for r in rows):9.2f}{med(r[1] for r in rows):8.2f}"
                  f"{med(ratios):7.2f}{min(ratios):7.2f}{peak_kib(server.pid) / 1024:14.0f}", flush=True)
    finally:
        server.terminate()
        server.wait(timeout=60)
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
