# SPDX-License-Identifier: Apache-2.0
"""Goal: one file, changed and read in turn through two mounts, is at every step what a model says (S22, S23).
usage: two_mounts_random.py BUILD [SEED [STEPS [disturbed]]]: with other programs on both mounts that make the lock go back
and forth all the time."""
import contextlib
import mmap
import os
import random
import sqlite3
import subprocess
import sys

from cluster import cluster, expect, need_fuse, step

SIZE_MAX = 200_000


def disturb(folder):
    """What another program does meanwhile: transactions of a database, and a file that is rewritten all the time."""
    database = sqlite3.connect(folder + f"/noise-{os.getpid()}.db", isolation_level=None)
    database.execute("create table if not exists t(a, b)")
    count = 0
    while True:
        database.execute("begin")
        database.execute("insert into t values(?, ?)", (count, "x" * 100))
        database.execute("commit")
        with open(folder + "/noise", "r+b") as file:
            file.seek(count * 10 % 5000)
            file.write(b"0123456789")
        count += 1


class Side:
    """One mount's view: a handle that stays open, and paths."""

    def __init__(self, name, folder):
        self.name = name
        self.path = folder + "/file"
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        self.appender = os.open(self.path, os.O_RDWR | os.O_APPEND)


def one_step(random, side, model):
    """Does one thing on one side and on the model; returns what was done."""
    action = random.choice(["read", "read", "read_new", "write", "write", "write_end", "append", "truncate", "grow", "map", "stat", "map_write"])
    offset = random.randrange(0, len(model) + 1)
    size = random.choice([1, 10, 100, 4096, 5000, 20_000])
    what = f"{side.name}: {action} offset {offset} size {size} of {len(model)}"
    data = bytes([random.randrange(1, 256)]) * size

    def put(at):
        if at > len(model):
            model.extend(bytes(at - len(model)))
        model[at:at + len(data)] = data

    if action == "read":
        got = os.pread(side.handle, size, offset)
        same(what, got, bytes(model[offset:offset + size]))
    elif action == "read_new":
        with open(side.path, "rb") as file:
            got = file.read()
        same(what, got, bytes(model))
    elif action == "write":
        if offset + size <= SIZE_MAX:
            expect(os.pwrite(side.handle, data, offset) == size, what)
            put(offset)
    elif action == "write_end":
        if len(model) + size <= SIZE_MAX:
            at = os.lseek(side.handle, 0, os.SEEK_END)
            expect(at == len(model), f"{what}: the end is at {at}")
            os.pwrite(side.handle, data, at)
            put(at)
    elif action == "append":
        if len(model) + size <= SIZE_MAX:
            os.write(side.appender, data)
            put(len(model))
    elif action == "truncate":
        os.ftruncate(side.handle, offset)
        del model[offset:]
    elif action == "grow":
        if len(model) + size <= SIZE_MAX:
            os.truncate(side.path, len(model) + size)
            model.extend(bytes(size))
    elif action == "map" and model:
        with mmap.mmap(side.handle, len(model), access=mmap.ACCESS_READ) as view:
            got = bytes(view)
        same(what, got, bytes(model))
    elif action == "map_write" and offset < len(model):
        data = data[:len(model) - offset]
        with mmap.mmap(side.handle, len(model)) as view:
            view[offset:offset + len(data)] = data
            view.flush()
        put(offset)
    elif action == "stat":
        found = os.stat(side.path).st_size
        expect(found == len(model), f"{what}: stat says {found}")
        found = os.fstat(side.handle).st_size
        expect(found == len(model), f"{what}: fstat says {found}")
    return what


def same(what, got, wanted):
    expect(len(got) == len(wanted), f"{what}: {len(got)} bytes and not {len(wanted)}")
    if got != wanted:
        at = next(i for i in range(len(got)) if got[i] != wanted[i])
        raise AssertionError(f"{what}: byte {at} is {got[at]} and not {wanted[at]}")


def run(first, second, seed, steps):
    source = random.Random(seed)
    sides = [Side("first", first), Side("second", second)]
    model = bytearray(os.path.getsize(sides[0].path))
    os.ftruncate(sides[0].handle, 0)
    model.clear()
    recent = []
    for number in range(steps):
        try:
            recent.append(one_step(source, source.choice(sides), model))
        except AssertionError as wrong:
            raise AssertionError(f"seed {seed}, step {number}: {wrong}\nbefore: " + "\n  ".join(recent[-8:])) from wrong
    for side in sides:
        os.close(side.handle)
        os.close(side.appender)


if sys.argv[2:3] == ["disturb"]:
    disturb(sys.argv[3])
need_fuse()
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 300
with cluster() as made:
    first = made.mount
    second = made.mount_another("second")
    open(first + "/noise", "w").close()
    folders = (first, second) if sys.argv[4:] == ["disturbed"] else ()
    disturbers = [subprocess.Popen([sys.executable, __file__, sys.argv[1], "disturb", folder]) for folder in folders]
    try:
        step(f"seed {seed}, {steps} steps")
        run(first, second, seed, steps)
        for process in disturbers:
            expect(process.poll() is None, "a disturbing program ended")
    finally:
        for process in disturbers:
            process.kill()
            process.wait()
print("both mounts saw the same file at every step")
