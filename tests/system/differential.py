# SPDX-License-Identifier: Apache-2.0
"""Goal: one file on the mount and one on the local file system, under the same random calls, stay the same.

Every call that changes or shows bytes is in it: reads, writes, appends, direct I/O, mappings, truncation, fallocate in its
modes, copy_file_range, SEEK_DATA and SEEK_HOLE; caches are dropped and the file is opened anew at random. Offsets like
the borders of pages and stripes. A failure prints the seed and the last calls.

    differential.py BUILD [seed] [count of seeds] [calls a seed]
"""
import ctypes
import errno
import mmap
import os
import random
import sys

from cluster import cluster, expect, need_fuse, rideau, step, temporary_folder

KEEP, PUNCH, ZERO = 1, 2, 16
PAGE = 4096
STRIPE = 64 * 1024
SIZE_MAX = 9 * STRIPE + 12_345

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def fallocate(descriptor, mode, offset, size):
    if libc.fallocate(descriptor, mode, offset, size) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


class Side:
    """One of the two files, with a descriptor of each kind."""

    def __init__(self, path):
        self.path = path
        self.open()

    def open(self):
        self.plain = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        self.append = os.open(self.path, os.O_RDWR | os.O_APPEND)
        self.direct = os.open(self.path, os.O_RDWR | os.O_DIRECT)
        self.writer = os.open(self.path, os.O_WRONLY)

    def close(self):
        for descriptor in (self.plain, self.append, self.direct, self.writer):
            os.close(descriptor)

    def size(self):
        return os.fstat(self.plain).st_size


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def aligned(data):
    room = mmap.mmap(-1, max(PAGE, len(data)))
    room[:len(data)] = data
    return room


class Run:
    def __init__(self, seed, mount, local):
        self.random = random.Random(seed)
        self.ours, self.theirs = Side(f"{mount}/file-{seed}"), Side(f"{local}/file-{seed}")
        self.sides = (self.ours, self.theirs)
        self.calls = []

    def offset(self, most=SIZE_MAX):
        kind = self.random.random()
        if kind < 0.3:
            place = self.random.randrange(0, most // STRIPE + 1) * STRIPE + self.random.choice((-PAGE, -1, 0, 1, PAGE))
        elif kind < 0.6:
            place = self.random.randrange(0, most // PAGE + 1) * PAGE + self.random.choice((-1, 0, 0, 1))
        elif kind < 0.8:
            place = self.ours.size() + self.random.choice((-PAGE, -1, 0, 0, 1, 100))
        else:
            place = self.random.randrange(0, most + 1)
        return min(max(place, 0), most)

    def length(self, offset, most=SIZE_MAX):
        size = int(self.random.choice((10, PAGE, STRIPE, 3 * STRIPE)) * self.random.random() * 2) + 1
        return max(1, min(size, most - offset))

    def data(self, size):
        return self.random.randbytes(1 + size // 7)[:size].ljust(size, b"%c" % self.random.randrange(1, 256))

    def both(self, name, call, *shown):
        self.calls.append((name, *shown))
        results = [attempt(call, side) for side in self.sides]
        expect(results[0] == results[1], f"{name}{shown}: {str(results[0])[:200]}, on the local file system {str(results[1])[:200]}")

    def op_read(self):
        offset = self.offset()
        size = self.length(offset, SIZE_MAX + PAGE)
        descriptor = self.random.choice(("plain", "append"))
        self.both("read", lambda side: os.pread(getattr(side, descriptor), size, offset), descriptor, offset, size)

    def op_write(self):
        offset = self.offset(SIZE_MAX - 1)
        data = self.data(self.length(offset))
        descriptor = self.random.choice(("plain", "writer"))
        self.both("write", lambda side: os.pwrite(getattr(side, descriptor), data, offset), descriptor, offset, len(data))

    def op_append(self):
        data = self.data(self.random.randrange(1, 2 * PAGE))
        if self.ours.size() + len(data) > SIZE_MAX:
            return
        self.both("append", lambda side: os.write(side.append, data), len(data))

    def op_direct_write(self):
        offset = self.offset(SIZE_MAX // PAGE * PAGE - PAGE) // PAGE * PAGE
        size = (self.length(offset, SIZE_MAX // PAGE * PAGE) + PAGE - 1) // PAGE * PAGE
        room = aligned(self.data(size))
        self.both("direct write", lambda side: os.pwritev(side.direct, [room], offset), offset, size)

    def op_direct_read(self):
        offset = self.offset() // PAGE * PAGE
        rooms = {side: mmap.mmap(-1, 8 * PAGE) for side in self.sides}

        def read(side):
            count = os.preadv(side.direct, [rooms[side]], offset)
            return rooms[side][:count]
        self.both("direct read", read, offset)

    def op_truncate(self):
        size = self.random.choice((self.offset(), self.offset(), 0, self.ours.size()))
        self.both("truncate", lambda side: os.ftruncate(side.plain, size), size)

    def op_fallocate(self):
        mode = self.random.choice((0, KEEP, ZERO, ZERO | KEEP, PUNCH | KEEP, PUNCH | KEEP))
        offset = self.offset(SIZE_MAX - 1)
        size = self.length(offset)
        self.both("fallocate", lambda side: fallocate(side.plain, mode, offset, size), mode, offset, size)

    def op_copy(self):
        if self.ours.size() == 0:
            return
        source, target = self.offset(self.ours.size() - 1), self.offset(SIZE_MAX - 1)
        size = min(self.length(source), SIZE_MAX - target)

        def copy(side):
            done = 0
            while done < size:
                count = os.copy_file_range(side.plain, side.plain, size - done, source + done, target + done)
                if count == 0:
                    break
                done += count
            return done
        self.both("copy_file_range", copy, source, target, size)

    def op_mapped(self):
        size = self.ours.size()
        if size == 0:
            return
        offset = self.offset(size - 1)
        count = min(self.length(offset), size - offset)
        data = self.data(count) if self.random.random() < 0.6 else None
        private = data is not None and self.random.random() < 0.2
        sync = self.random.random() < 0.3

        def use(side):
            flags = mmap.MAP_PRIVATE if private else mmap.MAP_SHARED
            with mmap.mmap(side.plain, size, flags, mmap.PROT_READ | mmap.PROT_WRITE) as area:
                seen = area[offset:offset + count]
                if data is not None:
                    area[offset:offset + count] = data
                    if sync:
                        area.flush()
            return seen
        self.both("map", use, offset, count, "write" if data else "read", "private" if private else "shared", sync)

    def op_holes(self):
        """Holes need not be the same ones, but they must be zeros, and no other byte may be in one."""
        self.calls.append(("holes",))
        size = self.ours.size()
        bytes_of = os.pread(self.theirs.plain, size, 0)
        at = 0
        while at < size:
            data = attempt(os.lseek, self.ours.plain, at, os.SEEK_DATA)
            begin = size if data == "ENXIO" else data
            expect(bytes_of[at:begin].count(0) == begin - at, f"SEEK_DATA from {at} skips bytes: {data}")
            if begin == size:
                break
            at = attempt(os.lseek, self.ours.plain, begin, os.SEEK_HOLE)
            expect(begin < at <= size, f"SEEK_HOLE from {begin}: {at}, size {size}")
        expect(attempt(os.lseek, self.ours.plain, size, os.SEEK_DATA) == "ENXIO", "SEEK_DATA at the end")
        expect(attempt(os.lseek, self.ours.plain, size, os.SEEK_HOLE) == "ENXIO", "SEEK_HOLE at the end")

    def op_sync(self):
        self.both("fsync", lambda side: os.fsync(side.plain))

    def op_drop(self):
        self.both("drop", lambda side: os.posix_fadvise(side.plain, 0, 0, os.POSIX_FADV_DONTNEED))

    def op_reopen(self):
        self.calls.append(("reopen",))
        for side in self.sides:
            side.close()
            side.open()

    def op_open_truncate(self):
        self.both("O_TRUNC", lambda side: os.close(os.open(side.path, os.O_WRONLY | os.O_TRUNC)))

    def op_compare(self):
        self.calls.append(("compare",))
        sizes = [side.size() for side in self.sides]
        expect(sizes[0] == sizes[1], f"size {sizes[0]}, on the local file system {sizes[1]}")
        first, second = (os.pread(side.plain, SIZE_MAX + 1, 0) for side in self.sides)
        if first == second:
            return
        place = next(i for i, (a, b) in enumerate(zip(first, second)) if a != b) if len(first) == len(second) else -1
        expect(False, f"{len(first)} and {len(second)} bytes, first difference at {place}")

    def go(self, calls):
        weights = {self.op_read: 10, self.op_write: 14, self.op_append: 5, self.op_direct_write: 4, self.op_direct_read: 4,
                   self.op_truncate: 6, self.op_fallocate: 10, self.op_copy: 5, self.op_mapped: 10, self.op_holes: 2,
                   self.op_sync: 1, self.op_drop: 2, self.op_reopen: 2, self.op_open_truncate: 0.3, self.op_compare: 4}
        for call in self.random.choices(list(weights), weights.values(), k=calls):
            call()
        self.op_reopen()
        self.op_compare()
        self.op_holes()
        for side in self.sides:
            side.close()
            os.unlink(side.path)


def main():
    need_fuse()
    first, seeds, calls = (int(word) for word in (sys.argv[2:] + ["1", "12", "400"][len(sys.argv) - 2:])[:3])
    with cluster() as made, temporary_folder() as local:
        rideau("layout", "set", "--size", "64K", made.mount)
        for seed in range(first, first + seeds):
            run = Run(seed, made.mount, local)
            try:
                run.go(calls)
            except BaseException:
                print(f"seed {seed}, call {len(run.calls)}; the last calls:", *run.calls[-25:], sep="\n  ", flush=True)
                raise
        step(f"{seeds} seeds from {first} on, {calls} calls each: no difference")


main()
