"""Whose work the processor did: `perf script -F ip,sym,dso` in, the share of each room out.

A sample belongs to the innermost room on its stack, with what that calls in other crates; where the kernel was at work for hyper or
tokio (sockets, timers, sleeping), it is the kernel's. Guests have no symbols: theirs is the code that lies in no file.
"""

import collections
import re
import sys

FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")
# Memory without a file: what perf looks for a map of symbols for.
JITTED = re.compile(r"/perf-\d+\.map$|^//anon")


def name(symbol):
    symbol = symbol.lstrip("<&")
    if symbol.startswith("portico::"):
        return symbol.split("::")[1].split("<")[0]
    for crate in ("hyper", "tokio", "wasmtime"):
        if symbol.startswith(crate):
            return crate
    return None


def owner(frames):
    in_kernel = frames[0][1].startswith("[kernel")
    if JITTED.search(frames[0][1]):
        return "guest"
    for symbol, _ in frames:
        room = name(symbol)
        if room in ("hyper", "tokio") and in_kernel:
            return "kernel"
        if room:
            return room
    return "kernel" if in_kernel else "other"


def main():
    shares, frames = collections.Counter(), []
    for line in list(sys.stdin) + [""]:
        frame = FRAME.match(line.rstrip())
        if frame:
            frames.append((frame[1], frame[2]))
        elif frames:
            shares[owner(frames)] += 1
            frames = []
    total = sum(shares.values())
    if not total:
        sys.exit("rooms: no samples; is perf allowed to measure here?")
    for room, count in shares.most_common():
        print(f"| {room} | {100 * count / total:.1f} % |")


main()
