"""A peer of ft/1 made from docs/PROTOCOL.md alone, for Python 3.11 and nothing else.

    python3 ft1_peer.py push HOST PORT FILE... [--into DIR] [--compare none|quick|content] [--overwrite default|never|replace|keep-both]
    python3 ft1_peer.py pull HOST PORT DEST PATH...
    python3 ft1_peer.py list HOST PORT PATH...
    python3 ft1_peer.py serve DIR PORT [--sessions N]

With `--cut-after N` the first connection breaks after N bytes, as if a cable had been pulled.

`serve` prints `listening on ADDRESS` when it is ready (PORT 0 lets the system choose), and serves one session after the other.
Exit codes: 0 completed, 1 the session failed, 3 outcome unknown, 4 some files failed.
"""

import argparse
import os
import socket
import sys

import ft1_files as files
import ft1_wire as w
from ft1_receiver import Receiver
from ft1_report import Report
from ft1_sender import Sender
from ft1_session import Link


def components(text: str) -> tuple:
    return tuple(part for part in os.fsencode(text).split(b"/") if part)


def push(options) -> int:
    into = components(options.into)
    compare = {"none": 0, "quick": 1, "content": 2}[options.compare]
    overwrite = {"default": 0, "never": 1, "replace": 2, "keep-both": 3}[options.overwrite]

    def sources(failures):
        for path in map(os.fsencode, options.files):
            name = into + (os.path.basename(os.path.abspath(path)),)
            yield from files.walk(path, name, w.EVERYTHING, w.LINKS_KEEP, failures)

    return session(options, lambda link, report: Sender(link, w.PUSH, report, compare, overwrite, sources=sources))


def pull(options) -> int:
    os.makedirs(options.dest, exist_ok=True)
    root, wants = os.fsencode(options.dest), tuple(map(components, options.paths))
    return session(options, lambda link, report: Receiver(link, w.PULL, report, root, wants))


def ls(options) -> int:
    wants = tuple(map(components, options.paths))
    return session(options, lambda link, report: Receiver(link, w.LIST, report, b"", wants))


def session(options, role) -> int:
    report = Report()
    try:
        link = Link(socket.create_connection((options.host, options.port), timeout=30), True, options.cut_after)
        link.run(lambda _: role(link, report))
    except (w.SessionFailed, OSError) as error:
        print(f"session failed: {error}", file=sys.stderr, flush=True)
        return 3 if report.exit_code() == 3 else 1
    return report.exit_code()


def serve(options) -> int:
    root = os.fsencode(options.dir)
    os.makedirs(root, exist_ok=True)
    with socket.create_server(("127.0.0.1", options.port)) as server:
        print(f"listening on 127.0.0.1:{server.getsockname()[1]}", flush=True)
        served, worst = 0, 0
        while options.sessions == 0 or served < options.sessions:
            sock, _ = server.accept()
            report = Report()
            link = Link(sock, False, 0 if served else options.cut_after)

            def role(hello):
                if hello.intent == w.PUSH:
                    return Receiver(link, w.PUSH, report, root)
                return Sender(link, hello.intent, report, w.COMPARE_QUICK, root=root)

            try:
                link.run(role)
                worst = worst or report.exit_code()
            except w.SessionFailed as error:
                print(f"session failed: {error}", file=sys.stderr, flush=True)
                worst = worst or 1
            served += 1
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description="a peer of ft/1")
    verbs = parser.add_subparsers(required=True)
    for name, verb in (("push", push), ("pull", pull), ("list", ls), ("serve", serve)):
        sub = verbs.add_parser(name)
        sub.set_defaults(verb=verb)
        sub.add_argument("--cut-after", type=int, default=0, metavar="N")
        if name == "serve":
            sub.add_argument("dir")
            sub.add_argument("port", type=int)
            sub.add_argument("--sessions", type=int, default=0, help="end after so many; 0: never")
            continue
        sub.add_argument("host")
        sub.add_argument("port", type=int)
        if name == "push":
            sub.add_argument("files", nargs="+")
            sub.add_argument("--into", default="")
            sub.add_argument("--compare", choices=("none", "quick", "content"), default="quick")
            sub.add_argument("--overwrite", choices=("default", "never", "replace", "keep-both"), default="default")
        else:
            if name == "pull":
                sub.add_argument("dest")
            sub.add_argument("paths", nargs="+")
    options = parser.parse_args()
    return options.verb(options)


if __name__ == "__main__":
    sys.exit(main())
