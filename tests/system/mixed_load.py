# SPDX-License-Identifier: Apache-2.0
"""Goal: under a load of everything at once, for as long as one likes, memory and descriptors of clients and servers stay
where they are, and what was written is read back.

    mixed_load.py BUILD [--minutes N] [--seed N]

Four programs on two mounts make, write, append to, cut, map, rename, list, lock and remove files of a set that does not
grow. What each process holds is printed all the while. It fails when in the last third of the time a process holds
notably more memory or descriptors than in the second (object servers keep descriptors of up to 1,024 objects)."""
import argparse
import collections
import fcntl
import mmap
import os
import random
import subprocess
import sys
import time

from cluster import PATIENCE, SANITIZER, cluster, expect, need_fuse, rideau, step

FILES = 300              # of each program
BYTES_MAX = 3 << 20
GROWTH = 1.10            # of the most that a process held before
SLACK = 12 << 20         # bytes; allocators return memory when they like
LINES = 30               # of the table


def difference(found, wanted):
    if len(found) != len(wanted):
        return f"{len(found)} bytes are there and {len(wanted)} were written"
    wrong = [at for at, (a, b) in enumerate(zip(found, wanted)) if a != b]
    return (f"of {len(found)} bytes {len(wrong)} differ, from {wrong[0]} to {wrong[-1]}; "
            f"{sum(found[at] == 0 for at in wrong)} of them are 0")


class Worker:
    """One program's folder: it knows what must be in each of its files."""

    def __init__(self, folder, seed):
        self.dice = random.Random(seed)
        self.folder = folder
        self.content = {}
        self.done = collections.defaultdict(list)  # to each file, for whoever looks for a mistake
        self.steps = 0
        os.makedirs(folder, exist_ok=True)

    def bytes(self):
        size = self.dice.choice((0, 10, 4096, 5000, 70_000, self.dice.randrange(BYTES_MAX)))
        return self.dice.randbytes(size)

    def path(self, name):
        return os.path.join(self.folder, name)

    def some(self):
        return self.dice.choice(list(self.content)) if self.content else None

    def make(self):
        name = f"{self.dice.choice('abcdef')}{self.steps}"
        data = self.bytes()
        with open(self.path(name), "wb") as file:
            file.write(data)
            if self.dice.random() < 0.1:
                os.fsync(file.fileno())
        self.content[name] = data
        self.done[name] = [f"{self.steps}: made with {len(data)}"]

    def append(self, name):
        data = self.dice.randbytes(self.dice.randrange(20_000))
        with open(self.path(name), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(data)
        self.content[name] = (self.content[name] + data)[:8 << 20]
        os.truncate(self.path(name), len(self.content[name]))
        self.done[name].append(f"{self.steps}: {len(data)} appended")

    def cut(self, name):
        size = self.dice.randrange(len(self.content[name]) + 1)
        os.truncate(self.path(name), size)
        self.content[name] = self.content[name][:size]
        self.done[name].append(f"{self.steps}: cut to {size}")

    def patch(self, name):
        old = self.content[name]
        if len(old) < 100:
            return
        at = self.dice.randrange(len(old) - 50)
        new = self.dice.randbytes(50)
        mapped = self.dice.random() < 0.3
        with open(self.path(name), "r+b") as file:
            if mapped:
                with mmap.mmap(file.fileno(), len(old)) as view:
                    view[at:at + 50] = new
            else:
                os.pwrite(file.fileno(), new, at)
        self.content[name] = old[:at] + new + old[at + 50:]
        self.done[name].append(f"{self.steps}: 50 {'mapped' if mapped else 'written'} at {at}")

    def rename(self, name):
        other = f"r{self.steps}"
        os.rename(self.path(name), self.path(other))
        self.content[other] = self.content.pop(name)
        self.done[other] = self.done.pop(name) + [f"{self.steps}: renamed"]

    def read(self, name):
        with open(self.path(name), "rb") as file:
            found = file.read()
        if found != self.content[name]:
            raise AssertionError(f"{name}: {difference(found, self.content[name])}; done to it: {self.done[name]}")

    def remove(self, name):
        os.unlink(self.path(name))
        del self.content[name]
        del self.done[name]

    def list(self, _):
        with os.scandir(self.folder) as entries:
            found = {entry.name: entry.stat().st_size for entry in entries}
        if found != {name: len(data) for name, data in self.content.items()}:
            raise AssertionError("names or sizes differ")

    def step(self):
        self.steps += 1
        name = self.some()
        if name is None or len(self.content) < self.dice.randrange(FILES):
            return self.make()
        call = self.dice.choices((self.append, self.cut, self.patch, self.rename, self.read, self.remove, self.list),
                                 (10, 5, 10, 5, 30, 25, 1))[0]
        return call(name)


def work(folder, seed):
    worker = Worker(folder, seed)
    while True:
        worker.step()
        if worker.steps % 100 == 0:
            print(worker.steps, flush=True)


def figures(made):
    """Of each node: bytes resident, open descriptors. Of a server without what it sees of the clients' caches: their memory
    is in its address space as well (architecture.md), and in the sum for each client already."""
    found = {}
    for node in made.nodes():
        process = f"/proc/{made.process(node)}"
        with open(process + "/status") as file:
            held = {words[0]: int(words[1]) << 10 for words in map(str.split, file) if words[0].startswith("Rss")}
        if not node.startswith("client"):
            del held["RssShmem:"]
        found[node] = (sum(held.values()), len(os.listdir(process + "/fd")))
    return found


def grows(samples):
    """What a process holds notably more of in the last third of its samples than in the second."""
    third = len(samples) // 3
    memory, descriptors = ([max(part) for part in (figure[third:2 * third], figure[2 * third:])] for figure in zip(*samples))
    if memory[1] > memory[0] * GROWTH + SLACK:
        return f"{memory[0] >> 20} MiB became {memory[1] >> 20} MiB"
    return descriptors[1] > descriptors[0] * GROWTH + 16 and f"{descriptors[0]} descriptors became {descriptors[1]}"


def watch(made, programs, seconds):
    held = collections.defaultdict(list)
    start = time.monotonic()
    pause = max(seconds / 120, 1)
    shown = -1
    while time.monotonic() - start < seconds:
        time.sleep(pause)
        for program in programs:
            expect(program.poll() is None, f"a program ended: {program.stderr.read() if program.poll() else 'early'}")
        now = figures(made)
        for node, figure in now.items():
            held[node].append(figure)
        passed = time.monotonic() - start
        if int(passed * LINES / seconds) > shown:
            shown = int(passed * LINES / seconds)
            print(f"{passed / 60:7.1f} min  " + "  ".join(f"{node} {resident >> 20:4d} MiB {fds:3d} fd"
                                                           for node, (resident, fds) in now.items()), flush=True)
    return held


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--minutes", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    need_fuse()
    with cluster() as made:
        second = made.mount_another("second")
        step(f"four programs on two mounts, {options.minutes:g} min, seed {options.seed}")
        programs = [subprocess.Popen([sys.executable, __file__, options.build, "work", f"{mount}/{who}", str(options.seed + who)],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                    for who, mount in enumerate((made.mount, second, made.mount, second))]
        try:
            held = watch(made, programs, options.minutes * 60 * PATIENCE)
        except AssertionError:
            print(rideau("status", "--config", made.config, check=False).stdout)     # was anybody evicted?
            raise
        finally:
            for program in programs:
                program.kill()
        steps = []
        for program in programs:
            told, problem = program.communicate()
            expect(problem == "", problem)
            steps.append(int(told.split()[-1]) if told else 0)
        print(f"steps of the programs: {steps}")
        expect(all(count > 0 for count in steps), "a program did nothing")
        if options.minutes >= 10 and not SANITIZER:
            grown = {node: grows(samples) for node, samples in held.items() if grows(samples)}
            expect(not grown, f"memory or descriptors grow: {grown}")
        made.down()
        made.check()
    print("memory and descriptors stay where they are")


if sys.argv[2:3] == ["work"]:
    work(sys.argv[3], int(sys.argv[4]))
else:
    main()
