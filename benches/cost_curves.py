#!/usr/bin/env python3
"""How the cost of a push grows with the size of a file and with the number of files: time, CPU, memory of both sides.

    cargo build --release && python3 benches/cost_curves.py                       # 1 KiB to 1 GiB, 1 to 10^5 files
    python3 benches/cost_curves.py --size-max 16G --count-max 1000000 --image     # all of it, on a journaled ext4 (root)
    python3 benches/cost_curves.py --size-max 1M --count-max 100 --rounds 1       # a look

Over loopback, medians of `--rounds`. Prints both tables (as Markdown) and writes their plots to `--out`: cost-size.svg
and cost-count.svg. A straight line of slope 1 in the double-logarithmic plot is cost in proportion; the flat part on the
left is what a transfer costs however small it is. Memory that does not grow is what the other curve is about.

Files of a count have `--each` bytes, 1,000 in a folder. Ends only processes that it started.
"""
import argparse, math, os, random, shutil, statistics, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import memory  # noqa: E402
from against_rsync import ft, mount_image, run, size  # noqa: E402

NAMES = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]


def shown(bytes_):
    unit, name = next((u, n) for u, n in NAMES if bytes_ >= u)
    return f"{bytes_ // unit} {name}"


def make_file(path, bytes_):
    rng = random.Random(bytes_)
    block = rng.randbytes(min(bytes_, 1 << 20))
    with open(path, "wb") as f:
        for at in range(0, bytes_, 1 << 20):
            f.write(block[: min(1 << 20, bytes_ - at)])


def make_tree(path, count, each):
    rng = random.Random(count)
    for i in range(count):
        folder = os.path.join(path, f"d{i // 1000:04}")
        if i % 1000 == 0:
            os.makedirs(folder)
        with open(os.path.join(folder, f"f{i:07}"), "wb") as f:
            f.write(rng.randbytes(each))


def landed(src, dst):
    """Counted and sized; every byte was compared by hash on the way, and benches/against_rsync.py compares files."""
    there = os.path.join(dst, os.path.basename(src))
    if os.path.isfile(src):
        return os.path.getsize(there) == os.path.getsize(src)
    count = lambda top: sum(len(files) for _, _, files in os.walk(top))
    return count(there) == count(src)


def measure(binary, src, bytes_, land, level, rounds):
    got = []
    for n in range(rounds):
        dst = os.path.join(land, f"dst{n}")
        os.mkdir(dst)
        os.sync()
        memory.warm(2 * bytes_ + memory.SMALL)
        wall, _, cpu, peaks = run(*ft(binary, src, dst, False, level))
        if not landed(src, dst):
            raise SystemExit(f"{src}: what landed is not what was sent")
        shutil.rmtree(dst)
        got.append((wall, cpu, *peaks))
    return [statistics.median(column) for column in zip(*got)]


def svg(title, x_name, series, shown_x):
    """A double-logarithmic plot: one line and its points for each of `series`, a name and points of x and y each."""
    width, height, left, right, top, bottom = 760, 440, 70, 150, 40, 60
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]
    lo_x, hi_x = math.log10(min(xs)), max(math.log10(max(xs)), math.log10(min(xs)) + 1)
    lo_y, hi_y = math.floor(math.log10(min(ys))), max(math.ceil(math.log10(max(ys))), math.floor(math.log10(min(ys))) + 1)
    px = lambda x: left + (math.log10(x) - lo_x) / (hi_x - lo_x) * (width - left - right)
    py = lambda y: height - bottom - (math.log10(y) - lo_y) / (hi_y - lo_y) * (height - top - bottom)
    colours = ["#0b6e99", "#b3541e", "#4a7c2f", "#7a4b94"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
           f'font-family="sans-serif" font-size="13"><title>{title}</title>'
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
           f'<text x="{left}" y="22" font-size="15" fill="#222222">{title}</text>']
    for exponent in range(lo_y, hi_y + 1):
        y = py(10.0 ** exponent)
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
                   f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{10.0 ** exponent:g}</text>')
    for x in sorted(set(xs)):
        out.append(f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{top}" y2="{height - bottom}" stroke="#eeeeee"/>'
                   f'<text x="{px(x):.1f}" y="{height - bottom + 18}" text-anchor="middle" font-size="11" '
                   f'fill="#444444">{shown_x(x)}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 14}" text-anchor="middle" fill="#222222">{x_name}</text>')
    for n, (name, points) in enumerate(series):
        colour = colours[n % len(colours)]
        line = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
    # Names stand beside the ends of their lines, one below the other where these are too close.
    free = 0
    for n, (name, points) in sorted(enumerate(series), key=lambda one: py(one[1][1][-1][1])):
        x, y = points[-1]
        free = max(free + 15, py(y) + 4)
        out.append(f'<text x="{px(x) + 8:.1f}" y="{free:.1f}" fill="{colours[n % len(colours)]}">{name}</text>')
    return "\n".join(out) + "\n</svg>\n"


def table(head, rows):
    lines = [" | ".join(head), " | ".join("---:" for _ in head)] + [" | ".join(row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    p.add_argument("--binary", default=os.path.join(here, "../target/release/ft-cli"))
    p.add_argument("--size-max", type=size, default=1 << 30)
    p.add_argument("--count-max", type=int, default=100_000)
    p.add_argument("--each", type=size, default=4096)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--durability", default="durable", choices=["durable", "cached"])
    p.add_argument("--image", action="store_true", help="land on a fresh journaled ext4 (root)")
    p.add_argument("--dir", default=None, help="scratch folder")
    p.add_argument("--out", default=os.path.join(here, "../docs/pictures"))
    args = p.parse_args()
    binary = os.path.abspath(args.binary)
    tmp = tempfile.mkdtemp(prefix="ft-bench-", dir=args.dir)
    mounted = None
    sizes = [1 << n for n in range(10, 41, 2) if 1 << n <= args.size_max]
    counts = [10 ** n for n in range(0, 8) if 10 ** n <= args.count_max]
    texts, plots = [], {}
    try:
        land = tmp
        if args.image:
            mounted = land = mount_image(tmp, max(4 * max(sizes, default=0), counts[-1] * 16384 if counts else 0) + (4 << 30))
        for kind, values, make, name in (
            ("size", sizes, lambda path, v: make_file(path, v), "bytes of one file"),
            ("count", counts, lambda path, v: make_tree(path, v, args.each), f"files of {args.each} bytes"),
        ):
            if not values:
                continue
            show = shown if kind == "size" else lambda v: f"{v:,}"
            rows, points = [], {"wall, s": [], "CPU, s": [], "MiB, sender": [], "MiB, receiver": []}
            for value in values:
                src = os.path.join(tmp, "src")
                make(src, value)
                total = value if kind == "size" else value * args.each
                got = measure(binary, src, total, land, args.durability, args.rounds if kind == "size" or value <= 100_000 else 1)
                for line, y in zip(points.values(), got):
                    # Memory is looked at every 20 ms: of a program that was gone by then nothing is known.
                    if line is points["wall, s"] or line is points["CPU, s"] or y > 1:
                        line.append((value, y))
                each = got[0] / value * (1 << 30 if kind == "size" else 1_000_000)
                rows.append([show(value), *(f"{g:.3f}" if g < 10 else f"{g:.1f}" for g in got[:2]), f"{each:,.2f}",
                             *(f"{g:.1f}" if g > 1 else "-" for g in got[2:])])
                print(f"{kind:6}", *(f"{cell:>14}" for cell in rows[-1]), flush=True)
                shutil.rmtree(src) if os.path.isdir(src) else os.unlink(src)
            per = "s/GiB" if kind == "size" else "µs a file"
            texts.append(table([kind, "wall, s", "CPU, s", per, "MiB, sender", "MiB, receiver"], rows))
            lines = [(line, at) for line, at in points.items() if at]
            plots[kind] = svg(f"A push over loopback, {args.durability}: cost against {kind}", name, lines, show)
        os.makedirs(args.out, exist_ok=True)
        for kind, plot in plots.items():
            with open(os.path.join(args.out, f"cost-{kind}.svg"), "w") as f:
                f.write(plot)
        print("\n" + "\n\n".join(texts))
    finally:
        if mounted:
            subprocess.run(["umount", mounted], check=False)
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
