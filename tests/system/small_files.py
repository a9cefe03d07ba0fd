# SPDX-License-Identifier: Apache-2.0
"""Goal: the bytes of small files lie at the metadata server: two calls make one, one reads it, no object exists; files cross the
limit up and down, are shared by two mounts, survive kill -9 of every server, and are told when there is no space.
"""
import contextlib
import errno
import json
import mmap
import os
import re
import subprocess

from cluster import cluster, expect, need_fuse, rideau, run, step
from counted import Counted

MIB = 1 << 20
FILES = 200


def objects(made):
    nodes = json.loads(rideau("status", "--config", made.config, "--json").stdout)["nodes"]
    return sum(node.get("objects", 0) for node in nodes)


def where(path):
    told = json.loads(rideau("layout", "get", "--json", path).stdout)[0]
    return told["bytes"], told["inline"]


def write(path, data, flags=os.O_CREAT | os.O_WRONLY | os.O_TRUNC, sync=False):
    descriptor = os.open(path, flags)
    expect(os.write(descriptor, data) == len(data), "a short write")
    if sync:
        os.fsync(descriptor)
    os.close(descriptor)


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


@contextlib.contextmanager
def calls_of(made):
    """The calls of all clients meanwhile, by method."""
    def now():
        found = {}
        for node, metrics in Counted(made).nodes.items():
            for key, value in metrics.items():
                match = re.fullmatch(r'rideau_client_calls_total\{target="\d+",method="(\w+)"\}', key)
                if match and node.startswith("client"):
                    found[match.group(1)] = found.get(match.group(1), 0) + value
        return found
    before, calls = now(), {}
    yield calls
    for method, count in now().items():
        if count != before.get(method, 0):
            calls[method] = count - before.get(method, 0)


def counts(made):
    step("two calls make a small file, one reads it, and no object server hears of it")
    folder = made.mount + "/counted"
    os.mkdir(folder)
    data = [os.urandom(4096) for _ in range(FILES)]
    write(folder + "/warm", b"w")
    rideau("sync", made.mount)
    before = objects(made)
    with calls_of(made) as calls:
        for number, content in enumerate(data):
            write(f"{folder}/{number}", content)
        rideau("sync", made.mount)
    of_files = sum(calls.get(method, 0) for method in ("make", "open", "close", "set_attributes", "lookup", "read_inline"))
    expect(of_files <= 2 * FILES, f"{FILES} files cost {calls}")
    expect(calls.get("write", 0) == 0, f"an object server was written to: {calls}")
    expect(objects(made) == before, "small files have objects")
    expect(where(folder + "/0") == ("inline", 4096), where(folder + "/0"))
    other = made.mount_another("reader")
    names = sorted(os.listdir(f"{other}/counted"))
    expect(len(names) == FILES + 1, names)
    for name in names:
        os.stat(f"{other}/counted/{name}")
    with calls_of(made) as calls:
        for number, content in enumerate(data):
            expect(read(f"{other}/counted/{number}") == content, f"file {number} is another one")
    reads = {method: count for method, count in calls.items() if method not in ("close", "sync", "unlock")}
    expect(set(reads) == {"open"} and reads["open"] <= FILES, f"reading {FILES} files cost {calls}")
    with calls_of(made) as calls:
        for number, content in enumerate(data):
            expect(read(f"{other}/counted/{number}") == content, f"file {number} is another one")
    expect(sum(calls.values()) <= FILES // 10, f"reading them again cost {calls}")
    rideau("umount", other)


def crossing(made):
    step("files cross the limit, in every way, and come back right")
    path = made.mount + "/crossing"
    content = bytearray(os.urandom(3000))
    write(path, bytes(content), sync=True)
    expect(where(path)[0] == "inline", where(path))
    with open(path, "r+b", buffering=0) as file:
        file.seek(3000)
        more = os.urandom(1096)
        file.write(more)
        content += more
        os.fsync(file.fileno())
        expect(where(path)[0] == "inline", where(path))
        file.write(b"one more")
        content += b"one more"
    rideau("sync", made.mount)
    expect(where(path)[0] == "objects" and read(path) == content, "moved out")
    os.truncate(path, 100)
    expect(read(path) == content[:100], "cut below the limit")
    os.truncate(path, 5000)
    expect(read(path) == content[:100] + bytes(4900), "grown again")
    for size in (10, 4096, 4097, 100_000):
        write(path + "t", b"abc")
        os.truncate(path + "t", size)
        expect(read(path + "t") == b"abc" + bytes(size - 3), f"grown to {size}")
        os.truncate(path + "t", 2)
        expect(read(path + "t") == b"ab", "and cut")
        os.unlink(path + "t")
    step("holes, fallocate, SEEK_DATA, mmap, O_DIRECT, append, hard links, unlinked files")
    with open(path + "h", "w+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"end", 1000)
        expect(os.pread(file.fileno(), 2000, 0) == bytes(1000) + b"end", "a hole")
        expect(os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0 and os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 1003, "seek")
        expect(where(path + "h")[0] == "inline", "a hole needs no object")
        os.posix_fallocate(file.fileno(), 0, 3000)
        expect(os.pread(file.fileno(), 4000, 0) == bytes(1000) + b"end" + bytes(1997), "kept space")
    write(path + "m", bytes(2000))
    with open(path + "m", "r+b") as file, mmap.mmap(file.fileno(), 2000) as mapped:
        mapped[10:14] = b"maps"
        mapped.flush()
    expect(read(path + "m")[10:14] == b"maps" and where(path + "m")[0] == "inline", "a mapping")
    descriptor = os.open(path + "d", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    room = mmap.mmap(-1, 4096)
    room.write(b"d" * 4096)
    expect(os.write(descriptor, room) == 4096, "O_DIRECT")
    expect(os.preadv(descriptor, [room], 0) == 4096 and room[:] == b"d" * 4096, "read with O_DIRECT")
    os.close(descriptor)
    os.link(path + "d", path + "link")
    os.unlink(path + "d")
    expect(read(path + "link") == b"d" * 4096, "under its other name")
    with open(path + "link", "r+b", buffering=0) as file:
        os.unlink(path + "link")
        file.write(b"still")
        expect(os.pread(file.fileno(), 8, 0) == b"stillddd", "without a name")
        os.fsync(file.fileno())
    step("a directory says how much, and whether at all")
    os.mkdir(path + "dir")
    rideau("layout", "set", "--inline", "16K", path + "dir")
    write(path + "dir/a", os.urandom(16 << 10))
    expect(where(path + "dir/a") == ("inline", 16384), where(path + "dir/a"))
    rideau("layout", "set", "--inline", "0", path + "dir")
    write(path + "dir/b", b"b")
    expect(where(path + "dir/b") == ("objects", 0), where(path + "dir/b"))
    answer = rideau("layout", "set", "--inline", "1M", path + "dir", check=False)
    expect(answer.returncode == 2, answer.stdout)


def two_mounts(made):
    step("two mounts write and append in turn")
    other = made.mount_another("other")
    here, there = made.mount + "/turns", other + "/turns"
    write(here, b"")
    wanted = b""
    for turn in range(60):
        piece = f"turn {turn};".encode()
        write(there if turn % 2 else here, piece, os.O_WRONLY | os.O_APPEND)
        wanted += piece
        expect(read(here if turn % 2 else there) == wanted, f"after turn {turn}")
    expect(where(here)[0] == "inline", where(here))
    with open(here, "ab", buffering=0) as one, open(there, "ab", buffering=0) as two:
        for turn in range(600):
            (one if turn % 2 else two).write(b"%07d\n" % turn)
            wanted += b"%07d\n" % turn
    expect(read(here) == wanted and read(there) == wanted, "appends that crossed the limit")
    expect(where(there)[0] == "objects", where(there))
    rideau("umount", other)


def kills(made):
    step("kill -9 of the metadata server, of everything")
    folder = made.mount + "/killed"
    os.mkdir(folder)
    kept = {}
    for number in range(100):
        kept[number] = os.urandom(100 + 40 * number)
        write(f"{folder}/{number}", kept[number], sync=number % 10 == 0)
        if number == 50:
            made.kill("mds0")
            made.serve("mds0")
    for number, content in kept.items():
        expect(read(f"{folder}/{number}") == content, f"file {number} after the metadata server was killed")
    for number in range(0, 100, 7):
        kept[number] += os.urandom(300)
        write(f"{folder}/{number}", kept[number], sync=True)
    rideau("sync", made.mount)
    made.kill_all()
    subprocess.run(["umount", "-l", made.mount], check=False)
    made.check()
    made.up()
    for number, content in kept.items():
        expect(read(f"{folder}/{number}") == content, f"file {number} after everything was killed")
    run("rm", "-rf", folder)


def full():
    step("an index without room: files go to the object servers, and nobody loses a byte")
    with cluster(oss=2, start=False) as made:
        made.up()
        made.down()
        with open(made.config) as file:
            text = file.read()
        changed = text.replace('index = "lmdb"', 'index = {plugin = "lmdb", map_size = "24 MiB"}')
        expect(changed != text, "the configuration does not say which index")
        with open(made.config, "w") as file:
            file.write(changed)
        made.up()
        kept = {}
        refused = 0
        for number in range(30_000):
            content = os.urandom(4096)
            try:
                write(f"{made.mount}/{number}", content)
                kept[number] = content
            except OSError as error:
                expect(error.errno == errno.ENOSPC, error)
                refused += 1
                if refused == 20:
                    break
        expect(refused == 20, "it never was full")
        rideau("sync", made.mount)
        places = [where(f"{made.mount}/{number}")[0] for number in (min(kept), max(kept))]
        print(f"   {len(kept)} files, the first one {places[0]}, the last one {places[1]}")
        expect(places == ["inline", "objects"], places)
        for number, content in kept.items():
            expect(read(f"{made.mount}/{number}") == content, f"file {number}")
        made.down()
        made.check()


need_fuse()
with cluster(oss=2) as made:
    counts(made)
    crossing(made)
    two_mounts(made)
    kills(made)
    made.down()
    made.check()
full()
print("small files lie at the metadata server")
