# SPDX-License-Identifier: Apache-2.0
"""Goal: what an operation costs stands in docs/architecture.md, and is so. The program counts itself (`rideau stats`); each row of
the tables under "What each costs" is measured here and compared. With --print the measured values are shown as rows."""
import ctypes
import json
import os
import re
import sys
import time

from cluster import cluster, expect, need_fuse, rideau, step

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "architecture.md")
MIB = 1 << 20
FILES = 400
MIBS = 64


def table(first_title):
    """Rows of the table of the document whose first column has this title: {first cell: {title: cell}}."""
    with open(DOCUMENT) as file:
        lines = [line.strip() for line in file]
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_title} |"))
    cells = lambda line: [cell.strip() for cell in line.strip("|").split("|")]
    titles, rows = cells(lines[begin]), {}
    for line in lines[begin + 2:]:
        if not line.startswith("|"):
            break
        row = dict(zip(titles, cells(line)))
        rows[row[titles[0]]] = row
    return rows


def stat_again(path):
    """statx that asks the file system whatever the kernel knows (AT_STATX_FORCE_SYNC)."""
    libc = ctypes.CDLL(None, use_errno=True)
    expect(libc.statx(-100, path.encode(), 0x2000, 0x7ff, ctypes.create_string_buffer(512)) == 0, f"statx {path}")


class Measured:
    """Figures of all nodes, and what happened between two moments, for each of `count` operations."""

    def __init__(self, made):
        self.made = made
        # Asking costs something itself: as much as between two questions with nothing between them.
        first, self.before = self.figures(), self.figures()
        self.asking = self.difference(first, self.before)

    def figures(self):
        told = json.loads(rideau("stats", "--config", self.made.config, "--json").stdout)
        return {node["node"]: node["metrics"] for node in told["nodes"]}

    def done(self, count):
        found = self.difference(self.before, self.figures())
        self.each = {node: {key: max(0, value - self.asking.get(node, {}).get(key, 0)) / count for key, value in metrics.items()}
                     for node, metrics in found.items()}
        return self

    @staticmethod
    def difference(before, after):
        return {node: {key: value - before.get(node, {}).get(key, 0) for key, value in metrics.items() if isinstance(value, (int, float))}
                for node, metrics in after.items()}

    def calls(self, to_mds):
        found = {}
        for key, value in [item for node in self.nodes("client") for item in self.each[node].items()]:
            match = re.fullmatch(r'rideau_client_calls_total\{target="(\d+)",method="(\w+)"\}', key)
            if match and (match.group(1) == "1") == to_mds and value > 0:
                found[match.group(2)] = found.get(match.group(2), 0) + value
        return found

    def copied(self):
        return sum(self.each[node]["rideau_client_copied_bytes_total"] for node in self.nodes("client"))

    def nodes(self, kind):
        return [node for node in self.each if node.startswith(kind)]

    def system_calls(self, kind):
        """Without the runtime's: how often it polls depends on how the machine schedules."""
        return sum(value for node in self.nodes(kind) for key, value in self.each[node].items()
                   if key.startswith("rideau_system_calls_total") and '"runtime"' not in key)

    def allocations(self, kind):
        found = [self.each[node]["rideau_allocations_total"] for node in self.nodes(kind)
                 if "rideau_allocations_total" in self.each[node]]
        return sum(found) if found else None


def settle(made):
    """Until the object servers have destroyed what was removed: that goes on in the background."""
    calls = lambda: {node: [value for key, value in metrics.items() if key.startswith("rideau_server_calls_total")]
                     for node, metrics in Measured(made).before.items() if node.startswith("oss")}
    before = calls()
    while True:
        time.sleep(0.3)
        after = calls()
        if after == before:
            return
        before = after


def operations(made):
    """Yields (row of the table, bytes of one operation, what was measured)."""
    folder = made.mount + "/known"
    os.mkdir(folder)
    name = lambda number: f"{folder}/f{number}"

    def measure(action, numbers):
        # The program that asks is started before: starting it is no part of the operation.
        measured = Measured(made)
        for number in numbers:
            action(number)
        return measured

    def create(number):
        os.close(os.open(name(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY))

    def small(number):
        with open(f"{folder}/s{number}", "wb", buffering=0) as file:
            file.write(b"x" * 4096)

    numbers = range(FILES)
    for number in range(1000, 1200):  # warm: frames, buffers, caches
        create(number)
        small(number)
    rideau("sync", made.mount)
    yield "create in a known directory", 0, measure(create, numbers).done(FILES)
    os.mkdir(made.mount + "/thousand")
    measured = measure(lambda number: os.close(os.open(f"{made.mount}/thousand/{number}", os.O_CREAT | os.O_WRONLY)), range(1000)).done(1)
    expect(measured.calls(True).get("lock", 0) == 0, "a thousand creates ask for a lock")
    yield "stat of what was seen before", 0, measure(lambda number: stat_again(name(number)), numbers).done(FILES)
    opened = measure(lambda number: os.close(os.open(name(number), os.O_RDONLY)), numbers)
    yield "open and close of a file", 0, opened.done(FILES)
    yield "chmod", 0, measure(lambda number: os.chmod(name(number), 0o600), numbers).done(FILES)
    yield "rename", 0, measure(lambda number: os.rename(name(number), name(number) + "x"), numbers).done(FILES)
    yield "unlink", 0, measure(lambda number: os.unlink(name(number) + "x"), numbers).done(FILES)
    settle(made)
    yield "mkdir", 0, measure(lambda number: os.mkdir(name(number)), numbers).done(FILES)
    measured = measure(small, numbers)
    rideau("sync", made.mount)
    yield "file of 4 KiB created, written, closed", 4096, measured.done(FILES)
    def look(number):
        with open(f"{folder}/s{number}", "rb", buffering=0) as file:
            expect(len(file.read()) == 4096, "a small file")

    for number in numbers:
        look(number)
    time.sleep(0.1)  # closes of what was written go out
    yield "open, read and close of a file, again", 0, measure(look, numbers).done(FILES)
    other = made.mount_another("other")
    for number in numbers:
        os.stat(f"{other}/known/s{number}")

    def look_there(number):
        with open(f"{other}/known/s{number}", "rb", buffering=0) as file:
            expect(len(file.read()) == 4096, "a small file")

    yield "file of 4 KiB read on another mount", 4096, measure(look_there, numbers).done(FILES)
    rideau("umount", other)
    large = made.mount + "/large"
    data = os.urandom(MIB)
    measured = Measured(made)
    with open(large, "wb", buffering=0) as file:
        for _ in range(MIBS):
            file.write(data)
        os.fsync(file.fileno())
    yield "1 MiB written, then fsync of 64 of them", MIB, measured.done(MIBS)
    rideau("umount", made.mount)
    made.up()
    measured = Measured(made)
    with open(large, "rb", buffering=0) as file:
        while file.read(MIB):
            pass
    yield "1 MiB read, not cached", MIB, measured.done(MIBS)


def hold_calls(row, cell, found):
    """"make 1, close ≤ 1": nothing else, and as often as that."""
    wanted = dict(re.findall(r"(\w+) ((?:≤ )?[0-9.]+)", cell))
    for method in set(wanted) | set(found):
        value, text = found.get(method, 0), wanted.get(method, "0")
        limit = float(text.lstrip("≤ "))
        good = value <= limit + 0.1 if text.startswith("≤") else abs(value - limit) <= 0.1 * max(limit, 1)
        expect(good, f"{row}: {value:.2f} calls {method} for each, the document says {text}")


def hold_limit(row, what, cell, value):
    if value is not None:
        expect(value <= float(cell), f"{row}: {value:.2f} {what} for each, the document says at most {cell}")


def main():
    printing = "--print" in sys.argv
    calls, limits = ({}, {}) if printing else (table("calls of one"), table("at most, of one"))
    rows = []
    with cluster() as made:
        for row, size, measured in operations(made):
            step(row)
            rows.append(row)
            of_mds, of_oss = measured.calls(True), measured.calls(False)
            copies = measured.copied() / size if size else measured.copied()
            costs = [measured.system_calls("client"), measured.system_calls("mds"), measured.system_calls("oss"),
                     measured.allocations("client"), measured.allocations("mds"), measured.allocations("oss")]
            if printing:
                told = lambda found: ", ".join(f"{method} {value:.2f}" for method, value in found.items()) or "–"
                print(f"| {row} | {told(of_mds)} | {told(of_oss)} | {copies:.2f} |")
                print(f"| {row} | " + " | ".join("–" if cost is None else f"{cost:.2f}" for cost in costs) + " |")
                continue
            expect(row in calls and row in limits, f"{row}: not in the document")
            hold_calls(row, calls[row]["to the mds"], of_mds)
            hold_calls(row, calls[row]["to object servers"], of_oss)
            expect(abs(copies - float(calls[row]["copies by the client"])) < 0.1, f"{row}: {copies:.2f} copies")
            for title, what, value in zip(list(limits[row])[1:], ["system calls"] * 3 + ["allocations"] * 3, costs):
                hold_limit(row, f"{what} ({title})", limits[row][title], value)
        expect(printing or set(rows) == set(calls) == set(limits), "the document has rows that nobody measures")
        made.down()
    print("what the document says is so")


need_fuse()
main()
