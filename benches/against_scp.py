#!/usr/bin/env python3
"""One file over loopback: ft-cli plain, ft-cli over TLS, and scp, interleaved, landings compared byte by byte.

    cargo build --release && python3 benches/against_scp.py                    # 2 GiB, five rounds, in memory
    python3 benches/against_scp.py --size 512M --rounds 3 --folder /var/tmp    # smaller, on a disk

What to know before reading the figures:
- ft-cli hashes every byte on both sides and reads the result back into a proof; scp does neither. `cached` rows leave the
  file in the page cache, as scp does; `durable` rows sync file and folder first.
- scp runs with aes128-gcm@openssh.com, the fastest cipher it has here, against an sshd that this script starts as the
  user who runs it, with keys of its own.
- Both ends share the machine's cores. Ratios within one run mean something, single times do not.

Needs: openssh-server (apt install openssh-server). Ends only processes that it started.
"""
import argparse, filecmp, getpass, os, re, shutil, socket, statistics, subprocess, tempfile, time

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
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size, default=size("2G"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default="/dev/shm", help="where the files are")
    parser.add_argument("--program", default=os.path.join(HERE, "../target/release/ft-cli"))
    parser.add_argument("--no-scp", action="store_true")
    args = parser.parse_args()
    ft = os.path.abspath(args.program)
    work = tempfile.mkdtemp(prefix="ft-against-scp-", dir=args.folder)
    servers = []
    try:
        inbox = os.path.join(work, "inbox")
        os.mkdir(inbox)
        big = os.path.join(work, "big")
        with open(big, "wb") as out:
            left = args.size
            while left:
                chunk = os.urandom(min(left, 1 << 20))
                out.write(chunk)
                left -= len(chunk)
        env = dict(os.environ, XDG_CONFIG_HOME=os.path.join(work, "config"))
        env.pop("FT_IDENTITY", None)
        key = subprocess.check_output([ft, "key"], env=env, text=True).strip()

        def ft_server(*more):
            port = free_port()
            line = [ft, "serve", inbox, "--listen", f"127.0.0.1:{port}", "--durability", "cached", *more]
            servers.append(subprocess.Popen(line, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            wait_for(port)
            return f"127.0.0.1:{port}"

        plain, tls = ft_server(), ft_server("--tls", "--anyone")
        put = lambda host, level, *more: ([ft, "put", "-q", big, host, "--durability", level, *more], "big")
        rows = {
            "ft plain, cached": put(plain, "cached"),
            "ft TLS, cached": put(tls, "cached", "--peer", key),
            "ft plain, durable": put(plain, "durable"),
            "ft TLS, durable": put(tls, "durable", "--peer", key),
        }
        if not args.no_scp:
            for name in ("host", "user"):
                subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", os.path.join(work, name)], check=True)
            port, config = free_port(), os.path.join(work, "sshd_config")
            with open(config, "w") as out:
                out.write(
                    f"ListenAddress 127.0.0.1:{port}\nHostKey {work}/host\nAuthorizedKeysFile {work}/user.pub\n"
                    f"PidFile {work}/sshd.pid\nStrictModes no\nUsePAM no\nSubsystem sftp internal-sftp\n"
                )
            os.makedirs("/run/sshd", exist_ok=True)
            servers.append(subprocess.Popen(["/usr/sbin/sshd", "-D", "-q", "-f", config], stderr=subprocess.DEVNULL))
            wait_for(port)
            options = ["-q", "-P", str(port), "-i", f"{work}/user", "-c", "aes128-gcm@openssh.com"]
            for option in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes"):
                options += ["-o", option]
            rows["scp, aes128-gcm"] = (["scp", *options, big, f"{getpass.getuser()}@127.0.0.1:{inbox}/scp"], "scp")

        times = {name: [] for name in rows}
        for turn in range(args.rounds + 1):
            for name, (line, landed) in rows.items():
                landed = os.path.join(inbox, landed)
                if os.path.exists(landed):
                    os.remove(landed)
                memory.warm(2 * args.size)
                begin = time.perf_counter()
                subprocess.run(line, env=env, check=True)
                took = time.perf_counter() - begin
                # The first turn warms up.
                if turn:
                    times[name].append(took)
                elif not filecmp.cmp(big, landed, shallow=False):
                    raise SystemExit(f"{name}: what landed is something else")

        print(f"{args.size / 2**20:.0f} MiB in {args.folder}, median of {args.rounds} rounds")
        rate = {name: args.size / 2**20 / statistics.median(all) for name, all in times.items()}
        for name, all in times.items():
            spread = f"{args.size / 2**20 / max(all):.0f} to {args.size / 2**20 / min(all):.0f}"
            print(f"  {name:20} {rate[name]:7.0f} MiB/s  ({spread})")
        for level in ("cached", "durable"):
            print(f"  TLS / plain, {level:8} {rate[f'ft TLS, {level}'] / rate[f'ft plain, {level}']:.2f}")
        if "scp, aes128-gcm" in rate:
            print(f"  TLS cached / scp      {rate['ft TLS, cached'] / rate['scp, aes128-gcm']:.2f}")
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
