# SPDX-License-Identifier: Apache-2.0
"""Goal: calls about bytes answer on the mount what they answer on the local file system: results, errors, sizes, blocks.

Each table is a list of calls on one file; the local file system (ext4, xfs and the like) is the oracle. Where it depends on the
device what is right (the largest file, space), the expected answer stands in the table.
"""
import ctypes
import errno
import mmap
import os
import resource
import signal
import subprocess
import sys

from cluster import PATIENCE, cluster, expect, need_fuse, step, temporary_folder

KEEP, PUNCH, COLLAPSE, ZERO, INSERT, UNSHARE = 1, 2, 8, 16, 32, 64
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


def fallocate(descriptor, mode, offset, size):
    if libc.fallocate(descriptor, mode, offset, size) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def attempt(call, *arguments):
    try:
        result = call(*arguments)
        return result if result is not None else 0
    except OSError as error:
        return errno.errorcode[error.errno]


class Both:
    """The same calls on a file of the mount and on a local one."""

    def __init__(self, mount, local, name):
        self.paths = [f"{mount}/{name}", f"{local}/{name}"]
        self.descriptors = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644) for path in self.paths]

    def same(self, what, call):
        ours, theirs = (attempt(call, descriptor) for descriptor in self.descriptors)
        expect(ours == theirs, f"{what}: {str(ours)[:300]}, on the local file system {str(theirs)[:300]}")
        return ours

    def gives(self, what, wanted, call):
        got = attempt(call, self.descriptors[0])
        expect(got == wanted, f"{what}: {got}, wanted {wanted}")

    def same_file(self, what):
        self.same(what + ", bytes", lambda fd: os.pread(fd, 64 * MIB, 0))
        self.same(what + ", size", lambda fd: os.fstat(fd).st_size)

    def close(self):
        for descriptor, path in zip(self.descriptors, self.paths):
            os.close(descriptor)
            os.unlink(path)


def allocation(mount, local):
    step("S07: fallocate in its modes, across the borders of stripes")
    both = Both(mount, local, "allocated")
    both.same("write", lambda fd: os.pwrite(fd, bytes(range(1, 256)) * 5000, 0))
    table = [(0, 0, 100), (0, 3 * MIB, 10), (KEEP, 0, 20 * MIB), (ZERO, 100, 5000), (ZERO, MIB - 10, 20), (ZERO, 2 * MIB, 3 * MIB),
             (ZERO | KEEP, 4 * MIB, 9 * MIB), (PUNCH | KEEP, 0, 1), (PUNCH | KEEP, 4095, 2), (PUNCH | KEEP, MIB - 70_000, 140_000),
             (PUNCH | KEEP, 900_000, 9 * MIB), (PUNCH | KEEP, 100 * MIB, MIB), (0, 0, 0), (0, -1, 10), (0, 10, -1), (PUNCH, 0, 10),
             (PUNCH | KEEP, 0, 0), (ZERO, 0, 0), (0, (1 << 63) - 1, 1), (0, 1 << 62, 1 << 62), (ZERO, (1 << 63) - 1, 2)]
    for mode, offset, size in table:
        both.same(f"fallocate({mode}, {offset}, {size})", lambda fd, m=mode, o=offset, s=size: fallocate(fd, m, o, s))
        both.same_file(f"after fallocate({mode}, {offset}, {size})")
    for mode in (COLLAPSE, INSERT, UNSHARE, 4):
        both.gives(f"fallocate({mode})", "ENOTSUP", lambda fd, m=mode: fallocate(fd, m, 0, 4096))
    both.same("posix_fallocate", lambda fd: os.posix_fallocate(fd, 20_000, 30 * MIB))
    both.same_file("after posix_fallocate")
    for path in both.paths:
        reader = os.open(path, os.O_RDONLY)
        expect(attempt(fallocate, reader, 0, 0, 10) == "EBADF", "fallocate of a file that is only read")
        os.close(reader)
    both.close()


def used_space(mount, local):
    step("what is allocated is used, what is punched is free")
    path = mount + "/space"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)

    def used():
        return os.fstat(descriptor).st_blocks * 512
    fallocate(descriptor, 0, 0, 16 * MIB)
    expect(16 * MIB <= used() <= 17 * MIB, f"16 MiB allocated: {used()} used")
    expect(os.pread(descriptor, 16 * MIB, 0) == bytes(16 * MIB), "allocated bytes are not zero")
    os.pwrite(descriptor, b"x" * (4 * MIB), 2 * MIB)
    os.fsync(descriptor)
    expect(16 * MIB <= used() <= 17 * MIB, f"written in the middle: {used()} used")
    fallocate(descriptor, PUNCH | KEEP, MIB, 12 * MIB)
    expect(4 * MIB <= used() <= 5 * MIB, f"12 MiB punched: {used()} used")
    fallocate(descriptor, KEEP, 16 * MIB, 8 * MIB)
    expect(12 * MIB <= used() <= 13 * MIB and os.fstat(descriptor).st_size == 16 * MIB, f"8 MiB kept beyond the end: {used()}")
    os.ftruncate(descriptor, MIB)
    expect(used() <= MIB + 64 * KIB, f"cut: {used()} used")
    total = os.statvfs(mount).f_blocks * os.statvfs(mount).f_frsize
    expect(attempt(fallocate, descriptor, 0, 0, total) == "ENOSPC", "more than there is was allocated")
    expect(os.fstat(descriptor).st_size == MIB, "a failed allocation changed the size")
    fallocate(descriptor, PUNCH | KEEP, 0, total)
    os.close(descriptor)
    os.unlink(path)


def holes(mount, local):
    step("S07: SEEK_DATA and SEEK_HOLE, across stripes")
    both = Both(mount, local, "holes")
    both.same("size", lambda fd: os.ftruncate(fd, 40 * MIB + 777))
    for offset, size in ((0, 100), (MIB - 4096, 8192), (5 * MIB, 3 * MIB), (20 * MIB, 64 * KIB), (40 * MIB, 700)):
        both.same("write", lambda fd, o=offset, s=size: os.pwrite(fd, b"d" * s, o))
    places = [0, 1, 4095, 4096, MIB - 4097, MIB - 4096, MIB, MIB + 4096, 5 * MIB - 1, 5 * MIB, 6 * MIB, 8 * MIB, 8 * MIB + 1, 20 * MIB,
              20 * MIB + 65_535, 20 * MIB + 65_536, 40 * MIB - 1, 40 * MIB + 776, 40 * MIB + 777, 40 * MIB + 778, 1 << 50]
    for place in places:
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            both.same(f"lseek({place}, {whence})", lambda fd, p=place, w=whence: os.lseek(fd, p, w))
    both.same("lseek(-1, SEEK_DATA)", lambda fd: os.lseek(fd, -1, os.SEEK_DATA))
    both.same("empty", lambda fd: os.ftruncate(fd, 0))
    both.same("SEEK_DATA of nothing", lambda fd: os.lseek(fd, 0, os.SEEK_DATA))
    both.same("grown", lambda fd: os.ftruncate(fd, 10 * MIB))
    both.same("SEEK_DATA of a hole", lambda fd: os.lseek(fd, 0, os.SEEK_DATA))
    both.same("SEEK_HOLE of a hole", lambda fd: os.lseek(fd, 5, os.SEEK_HOLE))

    def mapped(fd):
        with mmap.mmap(fd, 10 * MIB) as area:
            area[7 * MIB] = 1
            return os.lseek(fd, 0, os.SEEK_DATA)
    both.same("SEEK_DATA of what was written through a mapping", mapped)
    both.close()


def sparse(mount, local):
    step("a sparse file of 100 GiB")
    path = mount + "/sparse"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, 100 * GIB)
    for gigabyte in range(0, 100, 9):
        os.pwrite(descriptor, f"at {gigabyte}".encode(), gigabyte * GIB)
    os.fsync(descriptor)
    expect(os.fstat(descriptor).st_size == 100 * GIB, "its size")
    expect(os.fstat(descriptor).st_blocks * 512 < MIB, f"it uses {os.fstat(descriptor).st_blocks * 512} bytes")
    found, at = [], 0
    while (at := attempt(os.lseek, descriptor, at, os.SEEK_DATA)) != "ENXIO":
        found.append(at)
        at = os.lseek(descriptor, at, os.SEEK_HOLE)
    expect(found == [gigabyte * GIB for gigabyte in range(0, 100, 9)], f"data at {found}")
    expect(os.pread(descriptor, 10, 99 * GIB) == b"at 99".ljust(10, b"\0"), "its bytes")
    copy = mount + "/sparse-copy"
    subprocess.run(["cp", "--sparse=auto", path, copy], check=True, timeout=60 * PATIENCE)
    expect(os.stat(copy).st_size == 100 * GIB and os.stat(copy).st_blocks * 512 < MIB, "a copy with cp is not sparse")
    os.close(descriptor)
    os.unlink(path)
    os.unlink(copy)


def copies(mount, local):
    step("copy_file_range")
    both = Both(mount, local, "copied")
    both.same("write", lambda fd: os.pwrite(fd, os.urandom(1) * 10 + b"0123456789" * 500_000, 0) and 0)
    other = Both(mount, local, "source")
    other.same("write", lambda fd: os.pwrite(fd, b"abcdefghij" * 300_000, 0))
    pairs = dict(zip(both.descriptors, other.descriptors))
    for source, target, size in ((0, 0, 10), (5, MIB - 3, 2 * MIB), (2_999_990, 100, 500), (3_000_000, 0, 10), (0, 9 * MIB, 4096)):
        both.same(f"from the other file {source} {target} {size}",
                  lambda fd, s=source, t=target, n=size: os.copy_file_range(pairs[fd], fd, n, s, t))
    for source, target, size in ((0, 4 * MIB, MIB), (0, 5, 10), (5, 0, 10), (0, 10, 10), (100, 100, 1)):
        both.same(f"inside {source} {target} {size}", lambda fd, s=source, t=target, n=size: os.copy_file_range(fd, fd, n, s, t))
    both.same("size", lambda fd: os.fstat(fd).st_size)
    both.same("bytes", lambda fd: os.pread(fd, 20 * MIB, 10))
    both.close()
    other.close()


def limits(mount, local):
    step("the ends of files: EFBIG, EINVAL, RLIMIT_FSIZE")
    both = Both(mount, local, "limits")
    for offset in (1 << 45, 1 << 50, 1 << 60, (1 << 63) - 4096):
        both.gives(f"pwrite at {offset}", "EFBIG", lambda fd, o=offset: os.pwrite(fd, b"x", o))
    both.gives("ftruncate to 2^62", "EFBIG", lambda fd: os.ftruncate(fd, 1 << 62))
    both.same("pwrite at -1", lambda fd: os.pwrite(fd, b"x", -1))
    both.same("pread at -1", lambda fd: os.pread(fd, 1, -1))
    both.same("pread at 2^50", lambda fd: os.pread(fd, 1, 1 << 50))
    both.same("pwrite of nothing at 2^50", lambda fd: os.pwrite(fd, b"", 1 << 50))
    both.same("ftruncate to -1", lambda fd: os.ftruncate(fd, -1))
    both.same("size", lambda fd: os.fstat(fd).st_size)
    both.gives("fsync", 0, os.fsync)
    # The largest file: found by trying, then written at its very end.
    low, high = 1 << 30, 1 << 62
    while high - low > 1:
        middle = (low + high) // 2
        if attempt(os.ftruncate, both.descriptors[0], middle) == 0:
            low = middle
        else:
            high = middle
    both.gives("ftruncate to 0", 0, lambda fd: os.ftruncate(fd, 0))
    both.gives("a write over the limit is cut", 3, lambda fd: os.pwrite(fd, b"0123456789", low - 3))
    both.gives("a write at the limit", "EFBIG", lambda fd: os.pwrite(fd, b"x", low))
    both.gives("the last bytes", b"012", lambda fd: os.pread(fd, 10, low - 3))
    both.gives("fsync", 0, os.fsync)
    both.gives("ftruncate to 0", 0, lambda fd: os.ftruncate(fd, 0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = []
    old = signal.signal(signal.SIGXFSZ, lambda number, frame: heard.append(number))
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        for name, call in (("inside", lambda fd: os.pwrite(fd, b"x" * 1000, 50_000)), ("over it", lambda fd: os.pwrite(fd, b"x" * 1000, 99_500)),
                           ("at it", lambda fd: os.pwrite(fd, b"x", 100_000)), ("ftruncate over it", lambda fd: os.ftruncate(fd, 100_001)),
                           ("fallocate over it", lambda fd: fallocate(fd, 0, 0, 100_001))):
            both.same("RLIMIT_FSIZE, " + name, call)
            both.same("signals", lambda fd: len(heard) % 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    both.same_file("after RLIMIT_FSIZE")
    both.close()


def flags(mount, local):
    step("S12: O_APPEND, O_TRUNC, O_DIRECT beside buffers and mappings")
    both = Both(mount, local, "flags")
    both.same("write", lambda fd: os.pwrite(fd, b"0123456789", 0))
    for side, path in enumerate(both.paths):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        os.write(descriptor, b"end")
        os.lseek(descriptor, 2, os.SEEK_SET)
        os.write(descriptor, b"more")
        expect(os.lseek(descriptor, 0, os.SEEK_CUR) == 17, "the place after an append")
        os.pwrite(descriptor, b"!", 3)  # on Linux this appends as well
        expect(os.pread(both.descriptors[side], 100, 0) == b"0123456789endmore!", "appended bytes")
        with mmap.mmap(descriptor, 10) as area:
            area[0:3] = b"map"
        expect(os.pread(descriptor, 5, 0) == b"map34", "a shared mapping of a file that is open for appending")
        os.close(descriptor)
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
        expect(os.fstat(both.descriptors[side]).st_size == 0, "O_TRUNC")
        expect(attempt(os.open, path, os.O_RDONLY | os.O_DIRECTORY) == "ENOTDIR", "O_DIRECTORY")
    room = mmap.mmap(-1, 4 * 4096)
    for side, path in enumerate(both.paths):
        plain = both.descriptors[side]
        direct = os.open(path, os.O_RDWR | os.O_DIRECT)
        os.pwrite(plain, b"b" * 20_000, 0)
        count = os.preadv(direct, [room], 4096)
        expect(count == 20_000 - 4096, f"direct read of what was just written: {count}")
        expect(room[:count] == b"b" * count, "direct read beside a buffered write")
        room[:] = b"d" * len(room)
        os.pwritev(direct, [room], 0)
        expect(os.pread(plain, 20_000, 0) == b"d" * 16_384 + b"b" * (20_000 - 16_384), "buffered read beside a direct write")
        with mmap.mmap(plain, 20_000) as area:
            expect(area[:10] == b"d" * 10, "a mapping beside a direct write")
            area[100] = 0x6d
            os.preadv(direct, [room], 0)
            expect(room[99:102] == b"dmd", "direct read of what was changed through a mapping")
            room[:] = b"e" * len(room)
            os.pwritev(direct, [room], 0)
            expect(area[99:102] == b"eee", "a mapping shows what was written directly")
        os.close(direct)
    both.close()


SIGBUS_PROGRAM = """
import mmap, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 8 * 4096)
os.pwrite(fd, b"a" * 8 * 4096, 0)
area = mmap.mmap(fd, 8 * 4096, flags=mmap.MAP_SHARED)
area[5 * 4096] = 98
os.ftruncate(fd, 100)
assert area[:100] == b"a" * 100 and area[100:4096] == bytes(3996), "stale bytes in the last page"
area[200] = 99                      # beyond the end: never part of the file
os.ftruncate(fd, 8 * 4096)
assert area[:101] == b"a" * 100 + bytes(1), "the first bytes"
assert area[201:] == bytes(8 * 4096 - 201), "stale bytes after growing"
os.ftruncate(fd, 100)
print("ready", flush=True)
area[4096]
"""


def mappings(mount, local):
    step("S14: mappings: shared, private, and truncation below them")
    for folder in (local, mount):
        done = subprocess.run([sys.executable, "-c", SIGBUS_PROGRAM, folder + "/bus"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60 * PATIENCE, check=False)
        expect(done.stdout == "ready\n" and done.returncode == -signal.SIGBUS, f"{folder}: {done.returncode} {done.stdout}")
    both = Both(mount, local, "mapped")
    both.same("write", lambda fd: os.pwrite(fd, b"0123456789" * 1000, 0))
    for descriptor in both.descriptors:
        with mmap.mmap(descriptor, 10_000, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as private, \
                mmap.mmap(descriptor, 10_000, mmap.MAP_SHARED) as shared:
            private[0:5] = b"local"
            expect(os.pread(descriptor, 5, 0) == b"01234" and shared[0:5] == b"01234", "a private mapping changes the file")
            shared[4090:4100] = b"shared-map"
            expect(os.pread(descriptor, 10, 4090) == b"shared-map", "read after a write through a mapping")
            os.pwrite(descriptor, b"written", 8000)
            expect(shared[8000:8007] == b"written", "a mapping after a write")
            fallocate(descriptor, PUNCH | KEEP, 4000, 200)
            expect(shared[3999:4201] == b"9" + bytes(200) + b"0", "a mapping after a punch")
            shared.flush()
    both.same_file("mapped")
    both.close()


def space_of(mount, local):
    step("statfs: two targets on one device are counted once")
    ours, theirs = os.statvfs(mount), os.statvfs(local)
    if os.stat(os.path.dirname(mount)).st_dev == os.stat(local).st_dev:
        total, wanted = ours.f_blocks * ours.f_frsize, theirs.f_blocks * theirs.f_frsize
        expect(total == wanted, f"total {total}, of the device {wanted}")
        free, wanted = ours.f_bavail * ours.f_frsize, theirs.f_bavail * theirs.f_frsize
        expect(abs(free - wanted) < GIB, f"free {free}, on the device {wanted}")
    expect(ours.f_namemax == 255 and ours.f_bsize == 4096, f"{ours}")


need_fuse()
with cluster() as made, temporary_folder() as scratch:
    for table in (allocation, used_space, holes, sparse, copies, limits, flags, mappings, space_of):
        table(made.mount, scratch)
    made.down()
    made.check()
print("bytes behave as on the local file system")
