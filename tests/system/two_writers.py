# SPDX-License-Identifier: Apache-2.0
"""Goal: two mounts that write one file at the same time lose no byte and read no stale one, whatever they do to it; and where they
work in different places of it, they stop asking each other for anything (S21 to S24, S30)."""
import mmap
import os
import random
import threading
import time

from cluster import cluster, expect, need_fuse, step
from counted import Counted

PAGE = 4096
MIB = 1 << 20


def at_once(*works):
    """Each in a thread of its own; the first problem of any of them is ours."""
    problems = []

    def guarded(work):
        try:
            work()
        except BaseException as problem:    # an assertion of a thread would be lost
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


def same(mounts, name, wanted):
    for mount in mounts:
        got = read(f"{mount}/{name}")
        if got == wanted:
            continue
        at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
        raise AssertionError(f"{name} on {mount}: {len(got)} bytes of {len(wanted)}, the first other one at {at}: "
                             f"{got[at:at + 8]!r} instead of {wanted[at:at + 8]!r}")


def pattern(number, size):
    return random.Random(number).randbytes(size)


def moved(before, after):
    """What the metadata server was asked, or asked itself, for the sake of locks: {what: how often}."""
    found = {method: after.since(before, "mds", "rideau_server_calls_total", method)
             for method in ("lock", "lock_extent", "unlock", "get_attributes", "lookup")}
    found["asked back"] = after.since(before, "mds", "rideau_mds_revocations_total")
    return {what: count for what, count in found.items() if count}


def halves(made, mounts):
    step("each writes a half of one file, in large blocks: after the first round nobody asks anybody")
    size, halves_of = 16 * MIB, [0, 8 * MIB]
    files = [os.open(f"{mount}/halves", os.O_RDWR | os.O_CREAT) for mount in mounts]

    def write_half(number, turn):
        for at in range(0, size // 2, MIB):
            os.pwrite(files[number], pattern(turn * 100 + number * 50 + at // MIB, MIB), halves_of[number] + at)

    for turn in range(3):
        at_once(*(lambda number=number: write_half(number, turn) for number in (0, 1)))
    before = Counted(made)
    for turn in range(3, 6):
        at_once(*(lambda number=number: write_half(number, turn) for number in (0, 1)))
    asked = moved(before, Counted(made))
    expect(not asked, f"writers of two halves were in each other's way: {asked}")
    expect(Counted(made).total("mds", "rideau_mds_divided_files") == 1, "the file is not locked in parts")
    wanted = b"".join(pattern(500 + number * 50 + block, MIB) for number in (0, 1) for block in range(8))
    same(mounts, "halves", wanted)
    os.close(files[0])
    expect(os.fstat(files[1]).st_size == size, "the size for the one who is left")
    os.pwrite(files[1], b"last", 100)
    for _ in range(50):     # the close is told a moment later
        os.fstat(files[1])
        if Counted(made).total("mds", "rideau_mds_divided_files") == 0:
            break
        time.sleep(0.1)
    expect(Counted(made).total("mds", "rideau_mds_divided_files") == 0, "the file is still locked in parts")
    os.close(files[1])
    same(mounts, "halves", wanted[:100] + b"last" + wanted[104:])


def neighbours(mounts):
    step("records of a thousand bytes, written in turn through both: neighbours share pages and lose no byte")
    count, size = 600, 1000
    files = [os.open(f"{mount}/records", os.O_RDWR | os.O_CREAT) for mount in mounts]

    def write(number):
        order = list(range(number, count, 2))
        random.Random(number).shuffle(order)
        for record in order:
            os.pwrite(files[number], pattern(record, size), record * size)
            if record % 7 == 0:
                expect(os.pread(files[number], size, record * size) == pattern(record, size), f"record {record}")

    at_once(lambda: write(0), lambda: write(1))
    same(mounts, "records", b"".join(pattern(record, size) for record in range(count)))
    for file in files:
        os.close(file)


def appenders(mounts):
    step("appenders on both beside writers of the file's beginning")
    head, rounds = 256 * 1024, 60
    with open(f"{mounts[0]}/log", "wb") as file:
        file.write(bytes(head))

    def append(number):
        file = os.open(f"{mounts[number]}/log", os.O_WRONLY | os.O_APPEND)
        for line in range(rounds):
            os.write(file, b"%d %05d " % (number, line) * 9 + b"\n")
        os.close(file)

    def overwrite(number):
        file = os.open(f"{mounts[number]}/log", os.O_RDWR)
        for turn in range(rounds):
            place = number * head // 2 + (turn * 3001) % (head // 2 - 500)
            os.pwrite(file, bytes([65 + number]) * 500, place)
            got = os.pread(file, 500, place)
            expect(got == bytes([65 + number]) * 500, f"what was written just now at {place}: {got[:10]!r}")
        os.close(file)

    at_once(lambda: append(0), lambda: append(1), lambda: overwrite(0), lambda: overwrite(1))
    for mount in mounts:
        got = read(f"{mount}/log")
        lines = got[head:].splitlines()
        wanted = sorted((b"%d %05d " % (number, line) * 9) for number in (0, 1) for line in range(rounds))
        expect(sorted(lines) == wanted, f"{len(lines)} lines on {mount}, some lost or torn")
        for number in (0, 1):
            own = set(got[number * head // 2:(number + 1) * head // 2])
            expect(own <= {0, 65 + number}, f"bytes {own} in the half of {number}")


def cuts(mounts):
    step("one cuts and grows the file while the other writes: what is read is what was written there, or nothing")
    size, rounds = 512 * 1024, 40
    bytes_of = pattern(1, size)
    done = threading.Event()

    def write():
        file = os.open(f"{mounts[0]}/cut", os.O_RDWR | os.O_CREAT)
        for turn in range(rounds * 4):
            at = (turn * 77_777) % (size - 5000)
            os.pwrite(file, bytes_of[at:at + 5000], at)
        os.close(file)
        done.set()

    def cut():
        file = os.open(f"{mounts[1]}/cut", os.O_RDWR | os.O_CREAT)
        chance = random.Random(2)
        while not done.is_set():
            os.ftruncate(file, chance.randrange(size))
            at = chance.randrange(size)
            got = os.pread(file, 20_000, at)
            wrong = [i for i, byte in enumerate(got) if byte not in (0, bytes_of[at + i])]
            expect(not wrong, f"byte {at + wrong[0] if wrong else 0} was never written so")
        os.ftruncate(file, 1000)
        os.close(file)

    at_once(write, cut)
    whole = [os.stat(f"{mount}/cut").st_size for mount in mounts]
    expect(whole == [1000, 1000], f"sizes {whole} after the last cut")
    with open(f"{mounts[0]}/cut", "r+b") as file:
        file.truncate(size)
    got = read(f"{mounts[1]}/cut")
    expect(not any(got[1000:]), "a byte of before the cut came back")


def maps(mounts):
    step("one stores into mapped pages, the other writes the rest of each page")
    pages = 40
    files = [os.open(f"{mount}/mapped", os.O_RDWR | os.O_CREAT) for mount in mounts]
    os.ftruncate(files[0], pages * PAGE)
    done = threading.Event()

    def store():
        with mmap.mmap(files[0], pages * PAGE) as mapped:
            for turn in range(3):
                for page in range(pages):
                    mapped[page * PAGE:page * PAGE + 1000] = bytes([turn + 1]) * 1000
            mapped.flush()
        done.set()

    def write():
        turn = 0
        while not done.is_set() or turn < 2:
            for page in range(pages):
                os.pwrite(files[1], bytes([100 + turn % 100]) * 1000, page * PAGE + 2000)
            turn += 1
        for page in range(pages):
            os.pwrite(files[1], b"z" * 1000, page * PAGE + 2000)

    at_once(store, write)
    same(mounts, "mapped", (b"\3" * 1000 + bytes(1000) + b"z" * 1000 + bytes(1096)) * pages)
    for file in files:
        os.close(file)


def reader_elsewhere(made, mounts):
    step("one writes the first half, the other reads the second: nobody asks anybody")
    half = 4 * MIB
    with open(f"{mounts[0]}/beside", "wb") as file:
        file.write(pattern(3, 2 * half))
    writer = os.open(f"{mounts[0]}/beside", os.O_WRONLY)
    reader = os.open(f"{mounts[1]}/beside", os.O_RDONLY)

    def work():
        for at in range(0, half, MIB):
            os.pwrite(writer, pattern(at, MIB), at)
            got = os.pread(reader, MIB, half + at)
            expect(got == pattern(3, 2 * half)[half + at:half + at + MIB], f"the bytes at {half + at}")

    for _ in range(4):
        work()
    before = Counted(made)
    for _ in range(3):
        work()
    asked = moved(before, Counted(made))
    expect(not asked, f"a writer and a reader were in each other's way: {asked}")
    for file in (writer, reader):
        os.close(file)


need_fuse()
with cluster() as made:
    both = [made.mount, made.mount_another("second")]
    halves(made, both)
    neighbours(both)
    appenders(both)
    cuts(both)
    maps(both)
    reader_elsewhere(made, both)
    made.down()
    made.check()
print("two writers of one file")
