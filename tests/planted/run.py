#!/usr/bin/env python3
"""Plants every fault of faults.toml in a copy of the workspace, one after the other, and asks the simulator.

    python3 tests/planted/run.py                   all of them
    python3 tests/planted/run.py --only ID         this one (again and again)
    python3 tests/planted/run.py --target-dir DIR  build there, and keep it for next time

A fault is killed when the gauntlet (ft-sim/tests/gauntlet.rs) says which promise broke. One that does not build, that
never ends, or that breaks the gauntlet itself is not. Exit 1 if any survives, if fewer than 95 in 100 of the smallest
schedules have at most 3 deviations, or if shrinking one took a second. Needs Python 3.11 and cargo, nothing else.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = "cargo test --profile mutants -p ft-sim --no-default-features --test gauntlet --no-run --message-format=json"
# Seconds for one gauntlet. The longest search of a case that stands takes a fifth of it.
PATIENCE = 120
# Bytes of memory: a fault that fills it must not take the machine with it.
MEMORY = 4 << 30
# Bounds on what is found.
DEVIATIONS, SHARE, SHRINK_MS = 3, 0.95, 1000


def edits(fault):
    return [fault, *fault.get("also", [])]


def edited(text, edit):
    """The text with one edit; a file that has changed since must not make the list a lie."""
    find, replace = edit["find"].removeprefix("\n"), edit["replace"].removeprefix("\n")
    if text.count(find) != 1:
        raise SystemExit(f"{edit['file']}: {text.count(find)} times, not once: {find!r}")
    # A snippet that ends with its line is replaced by whole lines.
    if find.endswith("\n") and not replace.endswith("\n"):
        replace += "\n"
    return text.replace(find, replace)


def build(copy, env):
    """The gauntlet's path, or what the compiler said."""
    done = subprocess.run(BUILD.split(), cwd=copy, env=env, capture_output=True, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0:
        errors = [m["message"]["rendered"] for m in messages if m["reason"] == "compiler-message"]
        return None, "".join(errors[-3:]) or done.stderr
    for message in messages:
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "gauntlet":
            return message["executable"], None
    raise SystemExit("cargo built no gauntlet")


def gauntlet(program, cases, runs, copy):
    """The lines it printed, and why they are not all, if so."""
    named = (word for case in cases for word in ("--case", case))
    command = [program, "--json", "--runs", str(runs), *named]
    bound = {"timeout": PATIENCE, "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))}
    try:
        done = subprocess.run(command, cwd=copy / "ft-sim", capture_output=True, text=True, **bound)
    except subprocess.TimeoutExpired:
        return [], f"did not end in {PATIENCE} s"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines or lines[-1]["event"] != "end":
        return [], f"ended with {done.returncode}: {done.stderr[-300:]}"
    return lines, None


def judge(lines):
    """What killed it: schedules until then, promise, smallest schedule, its deviations, milliseconds of shrinking."""
    found = {"proofs": [line["name"] for line in lines if line["event"] == "proof" and not line["holds"]]}
    schedules = 0
    for line in lines:
        if line["event"] == "scenario":
            schedules += line["plays"]
            if not line["passed"]:
                deviations = line["deviations"]
                found |= {"by": line["name"], "promise": "a scenario's answer", "deviations": deviations, "shrink_ms": None}
                return found | {"schedules": schedules, "replay": line["name"]}
        elif line["event"] == "case" and line["passed"]:
            schedules += line["runs"]
        elif line["event"] == "case":
            failure = line["failure"]
            if failure is None:
                never = ", ".join(line["never"]) or "the case is not deterministic"
                found |= {"by": line["case"], "promise": f"sometimes: {never}", "deviations": 0, "shrink_ms": None}
                return found | {"schedules": schedules + line["runs"], "replay": "never seen"}
            schedules += failure["found_after_runs"]
            keys = ("promise", "replay", "deviations", "shrink_ms")
            return found | {"by": line["case"], "schedules": schedules} | {key: failure[key] for key in keys}
    return found


def short(text, width):
    return text if len(text) <= width else text[: width - 1] + "…"


def main():
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--only", action="append", default=[], metavar="ID")
    ask.add_argument("--runs", type=int, default=2000, help="random schedules a case, behind every single deviation")
    ask.add_argument("--target-dir", type=Path)
    ask.add_argument("--json", type=Path, help="write what was found here")
    asked = ask.parse_args()
    faults = tomllib.loads((HERE / "faults.toml").read_text())["fault"]
    if asked.only:
        faults = [fault for fault in faults if fault["id"] in asked.only]
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "workspace"
        # With the time of now: a kept target may have been left with a fault in it.
        leave = shutil.ignore_patterns("target", ".git")
        shutil.copytree(ROOT, copy, ignore=leave, copy_function=shutil.copyfile)
        env = os.environ | {"CARGO_TARGET_DIR": str((asked.target_dir or Path(folder) / "target").resolve())}
        program, error = build(copy, env)
        if error:
            raise SystemExit(f"the workspace does not build: {error}")
        lines, error = gauntlet(program, [], 150, copy)
        if error or any(line.get("broken") for line in lines):
            raise SystemExit(f"without any fault the gauntlet does not hold: {error or lines[-1]}")
        results = []
        for fault in faults:
            results.append(plant(fault, copy, env, asked.runs))
            report(fault, results[-1])
    if asked.json:
        asked.json.write_text(json.dumps([fault | result for fault, result in zip(faults, results)], indent=1))
    return summary(results)


def plant(fault, copy, env, runs):
    began = time.monotonic()
    whole = {edit["file"]: (copy / edit["file"]).read_text() for edit in edits(fault)}
    try:
        for edit in edits(fault):
            path = copy / edit["file"]
            path.write_text(edited(path.read_text(), edit))
        program, error = build(copy, env)
        if error:
            return {"status": "does not build", "detail": error}
        built = time.monotonic()
        lines, error = gauntlet(program, fault["cases"], runs, copy)
        if error:
            return {"status": "not judged", "detail": error}
        found = judge(lines)
        found["status"] = "killed" if "by" in found else "proved wrong" if found["proofs"] else "SURVIVES"
        return found | {"build_s": built - began, "search_s": time.monotonic() - built}
    finally:
        for name, text in whole.items():
            (copy / name).write_text(text)


def report(fault, result):
    status = result["status"]
    line = f"{status:<12} {fault['family']:<9} {fault['id']:<42}"
    if status == "killed":
        shrink = result["shrink_ms"]
        line += f" {result['schedules']:>7} schedules, {result['deviations']} deviations"
        line += f", {shrink:6.1f} ms" if shrink is not None else "           "
        line += f"  {short(result['promise'], 44)}  [{short(result['replay'], 70)}]"
    elif "detail" in result:
        line += "\n" + result["detail"]
    if result.get("proofs"):
        line += f"  also refuted: {', '.join(result['proofs'])}"
    print(line, flush=True)


def summary(results):
    killed = [result for result in results if result["status"] in ("killed", "proved wrong")]
    counted = [result for result in results if result["status"] == "killed"]
    few = [result for result in counted if result["deviations"] <= DEVIATIONS]
    slow = max((result["shrink_ms"] or 0 for result in counted), default=0)
    print(f"\n{len(killed)} of {len(results)} faults killed", end="")
    if counted:
        median = statistics.median(result["schedules"] for result in counted)
        print(f"; median number of schedules to the kill: {median:g}")
        print(f"{len(few)} of {len(counted)} smallest schedules have at most {DEVIATIONS} deviations; ", end="")
        print(f"longest shrink: {slow:.1f} ms")
    good = len(killed) == len(results) and len(few) >= SHARE * len(counted) and slow < SHRINK_MS
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
