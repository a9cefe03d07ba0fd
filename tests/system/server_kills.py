# SPDX-License-Identifier: Apache-2.0
"""Goal: kill -9 of servers, also of several at once, is a delay. No call of the programs on two mounts fails, nothing that was acknowledged is
lost though nobody ever calls fsync, what is open stays open (also without a name), what is locked stays locked.

A number behind the build folder says how many times it kills."""
import contextlib
import ctypes
import fcntl
import hashlib
import os
import random
import sys
import threading
import time

from cluster import PATIENCE, cluster, expect, need_fuse, rideau, step

CALL_SECONDS = 60 * PATIENCE
VICTIMS = (["mds0"], ["oss0"], ["mds0", "oss1"], ["mds0"], ["oss0", "oss1"], ["mds0", "oss0", "oss1"])


def content(name, size):
    return (hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size]


class Worker(threading.Thread):
    """Changes names and files in a directory of its own, and knows what must be there: every call must succeed."""

    def __init__(self, mount, tag):
        super().__init__(daemon=True)
        self.mount, self.tag, self.chance = mount, tag, random.Random(tag)
        self.folder = f"{mount}/{tag}"
        self.files, self.modes, self.notes = {}, {}, {}
        self.folders = [""]
        self.problem, self.stop, self.calls, self.number = None, False, 0, 0
        self.since = time.monotonic()

    def fresh(self):
        self.number += 1
        return f"{self.chance.choice(self.folders)}n{self.number}"

    def path(self, name):
        return f"{self.folder}/{name}"

    def make(self):
        name = self.fresh()
        data = content(name, self.chance.choice((0, 5, 4_000, 70_000)))
        with open(self.path(name), "xb", buffering=0) as file:
            file.write(data)
        self.files[name] = data
        self.modes[name] = 0o644

    def make_folder(self):
        name = self.fresh()
        os.mkdir(self.path(name))
        self.folders.append(name + "/")

    def rename(self):
        old, new = self.chance.choice(sorted(self.files)), self.fresh()
        if self.chance.random() < 0.3:
            new = self.chance.choice(sorted(self.files))
        if old == new:
            return
        os.rename(self.path(old), self.path(new))
        for known in (self.files, self.modes, self.notes):
            known.pop(new, None)
            if old in known:
                known[new] = known.pop(old)

    def remove(self):
        name = self.chance.choice(sorted(self.files))
        os.unlink(self.path(name))
        for known in (self.files, self.modes, self.notes):
            known.pop(name, None)

    def append(self):
        name = self.chance.choice(sorted(self.files))
        with open(self.path(name), "ab", buffering=0) as file:
            file.write(b"more")
        self.files[name] += b"more"

    def cut(self):
        name = self.chance.choice(sorted(self.files))
        size = len(self.files[name]) // 2
        os.truncate(self.path(name), size)
        self.files[name] = self.files[name][:size]

    def change_mode(self):
        name = self.chance.choice(sorted(self.files))
        self.modes[name] = self.chance.choice((0o600, 0o644, 0o755))
        os.chmod(self.path(name), self.modes[name])

    def note(self):
        name = self.chance.choice(sorted(self.files))
        self.notes[name] = f"note {self.number}".encode()
        os.setxattr(self.path(name), "user.note", self.notes[name])

    def run(self):
        steps = [self.make] * 6 + [self.rename] * 3 + [self.remove, self.remove, self.append, self.cut, self.make_folder,
                                                       self.change_mode, self.note]
        try:
            while not self.stop:
                one = self.chance.choice(steps)
                if one not in (self.make, self.make_folder) and not self.files:
                    continue
                self.since = time.monotonic()
                doing = one.__name__
                one()
                self.calls += 1
        except OSError as error:
            self.problem = f"{doing}: {error}"

    def check(self, mount):
        folder = f"{mount}/{self.tag}"
        there = {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}
        expect(there == set(self.files), f"{folder}: not there {sorted(set(self.files) - there)[:5]}, "
                                         f"not expected {sorted(there - set(self.files))[:5]}")
        for name, data in self.files.items():
            path = f"{folder}/{name}"
            with open(path, "rb") as file:
                expect(file.read() == data, f"{path} has other bytes")
            expect(os.stat(path).st_mode & 0o777 == self.modes[name], f"{path}: another mode")
            noted = os.getxattr(path, "user.note") if "user.note" in os.listxattr(path) else None
            expect(noted == self.notes.get(name), f"{path}: another note")


class Kept:
    """What a program has open, and locked, through all of it."""

    def __init__(self, made, other):
        self.other = other
        mount = made.mount
        self.gone = os.open(mount + "/gone", os.O_CREAT | os.O_RDWR, 0o644)
        os.write(self.gone, b"without a name")
        os.unlink(mount + "/gone")
        self.nameless = os.open(mount, os.O_TMPFILE | os.O_RDWR, 0o644)
        os.write(self.nameless, b"never had a name")
        self.locked = os.open(mount + "/locked", os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(self.locked, fcntl.LOCK_EX)
        fcntl.lockf(self.locked, fcntl.LOCK_EX, 10, 5)
        self.written = 0

    def check(self):
        os.pwrite(self.locked, b"x", self.written)
        self.written += 1
        for descriptor, data in ((self.gone, b"without a name"), (self.nameless, b"never had a name"), (self.locked, b"x" * self.written)):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            expect(os.pread(descriptor, 100, 0) == data, "an open file has other bytes")
        far = os.open(self.other + "/locked", os.O_RDWR)
        for lock in (lambda: fcntl.flock(far, fcntl.LOCK_EX | fcntl.LOCK_NB),
                     lambda: fcntl.lockf(far, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 7)):
            try:
                lock()
                expect(False, "a lock that is held elsewhere was granted")
            except BlockingIOError:
                pass
        os.close(far)

    def end(self, mount):
        follow = 0x400  # os.link never does
        source = f"/proc/self/fd/{self.nameless}".encode()
        named = ctypes.CDLL(None, use_errno=True).linkat(-100, source, -100, f"{mount}/named".encode(), follow)
        expect(named == 0, f"a name for the file without one: {os.strerror(ctypes.get_errno())}")
        with open(self.other + "/named", "rb") as file:
            expect(file.read() == b"never had a name", "a file that got its name late has other bytes")
        for descriptor in (self.gone, self.nameless, self.locked):
            os.close(descriptor)


def kill_fresh(made, old):
    """The server that was started just now, as soon as it has told its process."""
    def told():
        with contextlib.suppress(FileNotFoundError, ValueError):
            return made.process("mds0")
        return None

    until = time.monotonic() + 30 * PATIENCE
    while told() in (old, None):
        expect(time.monotonic() < until, "the metadata server does not come back")
        time.sleep(0.005)
    made.kill("mds0")


def run(kills):
    with cluster() as made:
        other = made.mount_another("second")
        workers = [Worker(mount, tag) for mount, tag in ((made.mount, "a"), (made.mount, "b"), (other, "c"))]
        for worker in workers:
            os.mkdir(worker.folder)
        kept = Kept(made, other)
        for worker in workers:
            worker.start()
        chance = random.Random(kills)
        for number in range(kills):
            time.sleep(chance.uniform(0.1, 1.2))
            nodes = VICTIMS[number % len(VICTIMS)]
            step(f"kill -9 of {', '.join(nodes)}, number {number + 1}")
            server = made.process("mds0")
            made.kill(*nodes)
            time.sleep(chance.uniform(0, 0.7))
            made.serve(*nodes)
            if "mds0" in nodes and number % 4 == 3:
                step("and again while clients come back")
                kill_fresh(made, server)
                made.serve("mds0")
            before = [worker.calls for worker in workers]
            kept.check()
            for worker, calls in zip(workers, before):
                while worker.calls < calls + 3:
                    expect(worker.problem is None, f"worker {worker.tag}: {worker.problem}")
                    expect(time.monotonic() - worker.since < CALL_SECONDS, f"worker {worker.tag} does not go on")
                    time.sleep(0.01)
        for worker in workers:
            worker.stop = True
        for worker in workers:
            worker.join(CALL_SECONDS)
            expect(not worker.is_alive(), f"worker {worker.tag} does not end")
            expect(worker.problem is None, f"worker {worker.tag}: {worker.problem}")
            print(f"         worker {worker.tag}: {worker.calls} calls, {len(worker.files)} files", flush=True)
        step("everything is there, on both mounts")
        for worker in workers:
            for mount in (made.mount, other):
                worker.check(mount)
        kept.end(made.mount)
        for worker in workers:
            for mount in (made.mount, other):
                rideau("sync", mount)
            worker.check(made.mount)
        made.down()
        made.check()


if __name__ == "__main__":
    need_fuse()
    os.umask(0o022)
    run(int(sys.argv[2]) if len(sys.argv) > 2 else 6)
    print("servers were killed, and nobody noticed")
