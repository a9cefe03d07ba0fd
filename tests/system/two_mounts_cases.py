# SPDX-License-Identifier: Apache-2.0
"""Goal: the cases that one machine shows its programs, shown by two mounts: what one has changed the other sees at its next
call, and what they do at once loses nothing. Each case under its number."""
import ctypes
import errno
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time

from cluster import PATIENCE, cluster, expect, need_fuse, run, step

PAGE = 4096
LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(call, *arguments, **words):
    """What it answers, or the name of its error."""
    try:
        return call(*arguments, **words)
    except OSError as error:
        return errno.errorcode[error.errno]


def write(path, data, flags=os.O_CREAT | os.O_TRUNC):
    descriptor = os.open(path, flags | os.O_WRONLY, 0o644)
    expect(os.write(descriptor, data) == len(data), f"a short write to {path}")
    os.close(descriptor)


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


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


def attributes_seen(first, second):
    """S20"""
    step("S20: mode, owner, attributes, times and size of the one are those of the other at its next call")
    write(first + "/seen", b"1234")
    for number in range(20):
        here, there = ((first, second) if number % 2 == 0 else (second, first))
        here, there = here + "/seen", there + "/seen"
        os.stat(there), os.listxattr(there), read(there)    # everything of it is cached
        os.chmod(here, 0o600 + number)
        expect(os.stat(there).st_mode & 0o7777 == 0o600 + number, "mode")
        if os.geteuid() == 0:
            os.chown(here, 1000 + number, 2000 + number)
            expect((os.stat(there).st_uid, os.stat(there).st_gid) == (1000 + number, 2000 + number), "owner")
        os.setxattr(here, "user.number", b"%d" % number)
        expect(os.getxattr(there, "user.number") == b"%d" % number, "an attribute")
        os.removexattr(here, "user.number")
        expect(attempt(os.getxattr, there, "user.number") == "ENODATA", "an attribute that was removed")
        os.utime(here, ns=(number * 10**9 + 1, number * 10**9 + 2))
        expect((os.stat(there).st_atime_ns, os.stat(there).st_mtime_ns) == (number * 10**9 + 1, number * 10**9 + 2), "times")
        write(here, b"x" * number, os.O_APPEND)
        expect(os.stat(there).st_size == os.stat(here).st_size, "size after an append")
        os.truncate(here, number)
        expect(os.stat(there).st_size == number and len(read(there)) == number, "size after a cut")


def appends(first, second):
    """S21"""
    step("S21: appends of up to 1 MiB from both mounts stand one behind the other, each whole")
    sizes = [random.Random(seed) for seed in (1, 2)]
    sent = []

    def append(mount, tag, dice):
        descriptor = os.open(mount + "/appended", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for number in range(25):
            size = dice.choice([1, 100, 5000, 70_000, (1 << 20) - PAGE])
            body = bytes([tag]) + number.to_bytes(3, "big") + size.to_bytes(4, "big") + bytes([number + 1]) * size
            if len(body) > (1 << 20) - PAGE:
                body = body[:4] + (size - 8).to_bytes(4, "big") + body[8:size]
            expect(os.write(descriptor, body) == len(body), "a short append")
            sent.append((tag, number))
        os.close(descriptor)

    at_once(lambda: append(first, 97, sizes[0]), lambda: append(second, 98, sizes[1]))
    for mount in (first, second):
        data, at, found = read(mount + "/appended"), 0, []
        while at < len(data):
            tag, number = data[at], int.from_bytes(data[at + 1:at + 4], "big")
            size = int.from_bytes(data[at + 4:at + 8], "big")
            expect(data[at + 8:at + 8 + size] == bytes([number + 1]) * size, f"the append at {at} is torn")
            found.append((tag, number))
            at += 8 + size
        expect(sorted(found) == sorted(sent), "an append is lost or there twice")
        for tag in (97, 98):
            own = [number for who, number in found if who == tag]
            expect(own == sorted(own), "appends of one program in another order")


BUS = """
import mmap, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
area = mmap.mmap(descriptor, 8 * 4096, flags=mmap.MAP_SHARED)
area[5 * 4096] = 98
print("mapped", flush=True)
sys.stdin.readline()
if sys.argv[2] == "cut":
    os.ftruncate(descriptor, 100)
else:
    os.fstat(descriptor)        # the next look at the attributes
print("looked", flush=True)
area[4096]
"""


def cuts(first, second):
    """S22"""
    step("S22: a cut on one mount leaves no old byte on the other, dirty or mapped; beyond the end is SIGBUS on both")
    for number in range(10):
        here, there = ((first, second) if number % 2 == 0 else (second, first))
        name = f"cut{number}"
        dirty = os.open(f"{there}/{name}", os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(dirty, b"b" * 16 * PAGE, 0)
        with mmap.mmap(dirty, 16 * PAGE, mmap.MAP_SHARED) as area:
            area[8 * PAGE:9 * PAGE] = b"m" * PAGE
            os.truncate(f"{here}/{name}", 10)
            expect(os.fstat(dirty).st_size == 10, "the size of the other")
            os.truncate(f"{here}/{name}", 16 * PAGE)
            wanted = b"b" * 10 + bytes(16 * PAGE - 10)
            expect(os.pread(dirty, 16 * PAGE, 0) == wanted, "bytes from before the cut, read")
            expect(area[:] == wanted, "bytes from before the cut, mapped")
        os.close(dirty)
        expect(read(f"{here}/{name}") == wanted, "bytes from before the cut come back at the close")
    write(first + "/bus", b"a" * 8 * PAGE)
    programs = [subprocess.Popen([sys.executable, "-c", BUS, mount + "/bus", what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for mount, what in ((first, "cut"), (second, "look"))]
    for program in programs:
        expect(program.stdout.readline() == "mapped\n", "a program does not map the file")
    for program in programs:
        program.stdin.write("go\n")
        program.stdin.flush()
        expect(program.stdout.readline() == "looked\n", "a program ended early")
        expect(program.wait(60 * PATIENCE) == -signal.SIGBUS, f"beyond the end of a mapped file: {program.returncode}")


def growing(first, second):
    """S24"""
    step("S24: a file that one mount writes never shrinks for the other")
    done = threading.Event()

    def writer():
        descriptor = os.open(first + "/growing", os.O_WRONLY | os.O_CREAT, 0o644)
        for _ in range(600):
            os.write(descriptor, b"g" * 10_000)
        done.set()
        os.close(descriptor)

    def watcher():
        size = 0
        while not done.is_set():
            seen = attempt(os.stat, second + "/growing")
            if seen == "ENOENT":
                expect(size == 0, "it was there, and is not")
                continue
            expect(seen.st_size >= size and seen.st_size % 10_000 == 0, f"{size}, then {seen.st_size}")
            size = seen.st_size

    at_once(writer, watcher)
    expect(os.stat(second + "/growing").st_size == 6_000_000, "the size at the end")


def names_race(first, second):
    """S25"""
    step("S25: create, mkdir, link, unlink and rename of one name at once: one wins, the others get the right error")
    write(first + "/source", b"source")
    for number in range(40):
        name = f"race{number}"
        answers = []

        def one(mount, call, answers=answers, name=name):
            answers.append(attempt(call, mount, mount + "/" + name))

        makers = [lambda mount, path: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
                  lambda mount, path: os.mkdir(path), lambda mount, path: os.link(mount + "/source", path),
                  lambda mount, path: os.symlink("source", path)]
        dice = random.Random(number)
        picked = [(mount, dice.choice(makers)) for mount in (first, second, first, second)]
        at_once(*[lambda mount=mount, call=call: one(mount, call) for mount, call in picked])
        expect(sorted(map(str, answers)) == ["EEXIST"] * 3 + ["None"], f"{name}: {answers}")
        moved, gone = [], []
        remove = os.rmdir if os.path.isdir(f"{first}/{name}") and not os.path.islink(f"{first}/{name}") else os.unlink
        at_once(lambda: moved.append(attempt(os.rename, f"{first}/{name}", f"{first}/{name}-moved")),
                lambda: gone.append(attempt(remove, f"{second}/{name}")))
        expect(sorted([str(moved[0]), str(gone[0])]) == ["ENOENT", "None"], f"{name}: renamed {moved}, removed {gone}")
        expect(os.path.lexists(f"{second}/{name}-moved") == (moved[0] is None), "the rename does not show")
    expect(os.listdir(first) == os.listdir(second), "the mounts list other names")


def crossing_renames(first, second):
    """S26"""
    step("S26: renames that cross each other: no deadlock, and no directory below itself")
    for mount, folder in ((first, "left"), (second, "right")):
        os.mkdir(f"{mount}/{folder}")
    for number in range(60):
        write(f"{first}/left/{number}", b"l")
        write(f"{second}/right/{number}", b"r")

    def swap(mount, here, there):
        for number in range(60):
            os.rename(f"{mount}/{here}/{number}", f"{mount}/{there}/from-{here}-{number}")

    at_once(lambda: swap(first, "left", "right"), lambda: swap(second, "right", "left"))
    for mount in (first, second):
        expect(sorted(os.listdir(mount + "/left")) == sorted(f"from-right-{number}" for number in range(60)), "left")
        expect(sorted(os.listdir(mount + "/right")) == sorted(f"from-left-{number}" for number in range(60)), "right")
    for number in range(40):
        a, b = f"a{number}", f"b{number}"
        os.mkdir(f"{first}/{a}")
        os.mkdir(f"{first}/{b}")
        answers = {}
        at_once(lambda: answers.update(a=attempt(os.rename, f"{first}/{a}", f"{first}/{b}/inner")),
                lambda: answers.update(b=attempt(os.rename, f"{second}/{b}", f"{second}/{a}/inner")))
        # Who is second looks for its target below a directory that has moved into its source.
        expect(sorted(map(str, answers.values())) in (["ENOENT", "None"], ["EINVAL", "None"]), f"both moved: {answers}")
        for mount in (first, second):
            outer = a if answers["b"] is None else b
            expect(os.path.isdir(f"{mount}/{outer}/inner"), f"{answers}: it is not where it went")


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_ubyte * 128)]


def handles(first, second):
    """S27"""
    if os.geteuid() != 0:
        return
    step("S27: a handle of one mount opens the same file on the other, and nothing once that is gone")

    def handle_of(path):
        handle, mount = FileHandle(bytes=128), ctypes.c_int()
        done = LIBC.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0)
        expect(done == 0, f"name_to_handle_at: {os.strerror(ctypes.get_errno())}")
        return handle

    def content(mount, handle):
        root = os.open(mount, os.O_RDONLY)
        file = LIBC.open_by_handle_at(root, ctypes.byref(handle), os.O_RDONLY)
        error = ctypes.get_errno()
        os.close(root)
        if file < 0:
            return errno.errorcode[error]
        data = os.read(file, 100)
        os.close(file)
        return data

    for number in range(20):
        here, there = (first, second) if number % 2 == 0 else (second, first)
        write(f"{here}/handle{number}", b"%d" % number)
        handle = handle_of(f"{here}/handle{number}")
        expect(content(there, handle) == b"%d" % number, "the other mount opens another file")
        os.rename(f"{there}/handle{number}", f"{there}/renamed{number}")
        expect(content(here, handle) == b"%d" % number, "after a rename")
        os.unlink(f"{here}/renamed{number}")
        for other in range(3):
            write(f"{here}/later{number}-{other}", b"another")
        # The kernel tells of a close after it has answered it, so the file may live for a moment longer.
        until = time.monotonic() + 10 * PATIENCE
        for mount in (there, here):
            while (found := content(mount, handle)) != "ESTALE":
                expect(found == b"%d" % number, f"another file: {found}")
                expect(time.monotonic() < until, "a file that is gone can be opened for long")
                time.sleep(0.01)


def unlinked(first, second):
    """S29"""
    step("S29: a file that the other mount has open lives until that close, also when its name is another's")
    for number in range(10):
        here, there = (first, second) if number % 2 == 0 else (second, first)
        write(f"{here}/victim", b"old" * 10_000)
        held = os.open(f"{there}/victim", os.O_RDWR)
        os.unlink(f"{here}/victim")
        expect(os.fstat(held).st_nlink == 0, "links of an unlinked file")
        write(f"{here}/victim", b"new")
        expect(os.pread(held, 6, 29_994) == b"oldold", "bytes of an unlinked file")
        os.pwrite(held, b"more", 30_000)
        expect(os.pread(held, 10, 29_997) == b"oldmore" and os.fstat(held).st_size == 30_004, "it takes no more bytes")
        expect(read(f"{there}/victim") == b"new", "the new file of this name")
        os.close(held)


def neighbours(first, second):
    """S30"""
    step("S30: neighbours that share pages and blocks lose no byte")
    record, count = 777, 900
    write(first + "/neighbours", b"")

    def fill(mount, parity):
        descriptor = os.open(mount + "/neighbours", os.O_RDWR)
        for number in range(parity, count, 2):
            os.pwrite(descriptor, bytes([number % 250 + 1]) * record, number * record)
        os.close(descriptor)

    at_once(lambda: fill(first, 0), lambda: fill(second, 1))
    for mount in (first, second):
        data = read(mount + "/neighbours")
        expect(len(data) == record * count, f"{len(data)} bytes")
        for number in range(count):
            expect(data[number * record:(number + 1) * record] == bytes([number % 250 + 1]) * record, f"record {number}")


class Directory:
    """readdir with its cookies, as the C library has it."""

    class Entry(ctypes.Structure):
        _fields_ = [("inode", ctypes.c_uint64), ("offset", ctypes.c_int64), ("length", ctypes.c_uint16),
                    ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]

    LIBC.opendir.restype = ctypes.c_void_p
    LIBC.readdir.restype = ctypes.POINTER(Entry)
    LIBC.telldir.restype = ctypes.c_long

    def __init__(self, path):
        self.stream = ctypes.c_void_p(LIBC.opendir(path.encode()))
        expect(self.stream.value is not None, f"opendir {path}")

    def next(self):
        entry = LIBC.readdir(self.stream)
        return entry.contents.name.decode() if entry else None

    def tell(self):
        return LIBC.telldir(self.stream)

    def seek(self, cookie):
        LIBC.seekdir(self.stream, ctypes.c_long(cookie))

    def close(self):
        LIBC.closedir(self.stream)


def listings(first, second):
    """S10, from one mount and from two"""
    step("S10: names that stay are listed once each while others come and go; cookies stay good")
    folder = "listed"
    os.mkdir(f"{first}/{folder}")
    stay = {f"stay-{number}" for number in range(1500)}
    for name in stay:
        write(f"{first}/{folder}/{name}", b"")
    stop = threading.Event()

    def churn(mount, seed):
        dice = random.Random(seed)
        while not stop.is_set():
            path = f"{mount}/{folder}/go-{seed}-{dice.randrange(300)}"
            call = dice.choice([os.mkdir, os.rmdir, lambda path: os.rename(path, path + "x"), lambda path: os.rename(path + "x", path)])
            attempt(call, path)

    def list_often():
        try:
            for _ in range(6):
                for mount in (first, second):
                    found = [name for name in os.listdir(f"{mount}/{folder}") if name.startswith("stay")]
                    expect(len(found) == len(set(found)), "a name is listed twice")
                    expect(set(found) == stay, f"{len(stay - set(found))} names are missing")
        finally:
            stop.set()

    at_once(lambda: churn(first, 1), lambda: churn(second, 2), list_often)
    directory = Directory(f"{second}/{folder}")
    names, cookies = [], []
    while True:
        cookies.append(directory.tell())
        name = directory.next()
        if name is None:
            break
        names.append(name)
    expect(stay <= set(names) and len(names) == len(set(names)), "names and cookies")
    for name in sorted(stay)[::3]:
        os.unlink(f"{first}/{folder}/{name}")
    gone = set(sorted(stay)[::3])
    for at in range(0, len(names), 97):
        directory.seek(cookies[at])
        found = directory.next()
        # The first that is still there, from this place on. What was read before may be in the library's buffer still.
        rest = names[at:]
        expect(found is None or found in rest, f"from cookie {at} on: {found}")
        left = next((name for name in rest if name not in gone), None)
        expect(found == left or found in gone, f"from cookie {at} on: {found} instead of {left}")
    directory.close()


need_fuse()
with cluster() as made:
    other = made.mount_another("second")
    for case in (attributes_seen, appends, cuts, growing, names_race, crossing_renames, handles, unlinked, neighbours, listings):
        case(made.mount, other)
    run("diff", "-r", made.mount, other)
    made.down()
    made.check()
print("two mounts are as one machine")
