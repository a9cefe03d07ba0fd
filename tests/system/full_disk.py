# SPDX-License-Identifier: Apache-2.0
"""Goal: full object targets. ENOSPC comes from the call that does not fit and never after it, what was acknowledged is there,
no size is without its data, nothing hangs, and removing frees the space again (S08, S09, S58). Needs a loop device, so root.
"""
import errno
import mmap
import os
import subprocess
import sys
import time

from cluster import cluster, expect, need_fuse, run, step

KIB, MIB = 1 << 10, 1 << 20
DISK = 64 * MIB


def pattern(name, size):
    return (f"{name}:".encode() * (size // (len(name) + 1) + 1))[:size]


def attempt(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def make_disk(folder, number, size):
    image, point = f"{folder}/disk{number}.img", f"{folder}/oss{number}"
    with open(image, "wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-q", "-F", "-m", "0", image)
    os.makedirs(point, exist_ok=True)
    made = subprocess.run(["mount", "-o", "loop", image, point], stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        print(f"skipped: this machine mounts no loop devices: {made.stderr}")
        sys.exit(77)
    return point


def fill(folder, sizes, count_max=1_000_000, sync=False):
    """Files until one does not fit. Returns what was acknowledged of each; every errno is that of a write or of an open."""
    kept = {}
    for number in range(count_max):
        name = f"{folder}/f{number}"
        size = sizes[number % len(sizes)]
        data = pattern(str(number), size)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        done = 0
        failure = None
        while done < size and failure is None:
            count = attempt(os.write, descriptor, data[done:done + 200_000])
            if isinstance(count, str):
                failure = count
            else:
                expect(count > 0, "a write of nothing")
                done += count
        if sync or failure:
            expect(attempt(os.fsync, descriptor) is None, f"fsync told the error of a write that had told it itself: {name}")
        expect(attempt(os.close, descriptor) is None, f"close of {name} fails after {failure}")
        kept[name] = done
        if failure is not None:
            expect(failure == "ENOSPC", f"{name}: {failure}")
            return kept
    raise AssertionError("the disk does not fill")


def check(kept):
    for name, size in kept.items():
        found = os.stat(name).st_size
        expect(found == size, f"{name}: {size} bytes were acknowledged, its size is {found}")
        with open(name, "rb") as file:
            number = os.path.basename(name)[1:]
            expect(file.read() == pattern(number, size), f"{name}: other bytes")


def free(mount):
    space = os.statvfs(mount)
    return space.f_bavail * space.f_frsize


def await_free(mount, wanted):
    for _ in range(600):
        if free(mount) >= wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{free(mount)} bytes are free a minute after everything was removed, {wanted} were before")


def rounds(made):
    mount = made.mount
    at_first = free(mount)
    for name, sizes, sync in (("large files", [8 * MIB], False), ("small files", [1, 5000, 100 * KIB], False),
                              ("one size, each made durable", [300_000], True)):
        step(f"filled with {name}, checked, emptied")
        folder = f"{mount}/{name.split()[0]}"
        os.mkdir(folder)
        kept = fill(folder, sizes, sync=sync)
        used = sum(kept.values())
        print(f"   {len(kept)} files, {used // MIB} MiB of {at_first // MIB}")
        if sizes[0] > MIB:
            expect(used > at_first * 0.8, f"full with {used} bytes of {at_first}")
        check(kept)
        first = next(iter(kept))
        descriptor = os.open(first, os.O_RDWR)
        expect(os.pwrite(descriptor, b"x" * min(kept[first], 4000), 0) == min(kept[first], 4000), "bytes that have their space are written")
        expect(attempt(os.fsync, descriptor) is None, "fsync of bytes that have their space")
        os.ftruncate(descriptor, 0)
        os.close(descriptor)
        for path in kept:
            os.unlink(path)
        os.rmdir(folder)
        await_free(mount, int(at_first * 0.97))


def allocations(made):
    step("fallocate on a full disk")
    at_first = free(made.mount)
    path = made.mount + "/allocated"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    room = free(made.mount)
    expect(attempt(os.posix_fallocate, descriptor, 0, room + MIB) == "ENOSPC", "more than there is")
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, room // 2)
    fill_folder = made.mount + "/rest"
    os.mkdir(fill_folder)
    kept = fill(fill_folder, [MIB])
    for offset in range(0, room // 2 - MIB, 7 * MIB):
        expect(os.pwrite(descriptor, b"k" * MIB, offset) == MIB, "kept space was not kept")
    expect(attempt(os.fsync, descriptor) is None, "fsync of bytes in kept space")
    os.close(descriptor)
    check(kept)
    for name in [*kept, path]:
        os.unlink(name)
    os.rmdir(fill_folder)
    await_free(made.mount, int(at_first * 0.97))


def mapped(made):
    step("a mapping over a hole of a full disk: the error comes once, from msync or fsync")
    path = made.mount + "/mapped"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, 4 * MIB)
    os.mkdir(made.mount + "/rest")
    kept = fill(made.mount + "/rest", [MIB])
    with mmap.mmap(descriptor, 4 * MIB) as area:
        area[:] = b"m" * (4 * MIB)
    told = attempt(os.fsync, descriptor)
    expect(told in ("ENOSPC", "EIO"), f"fsync of pages that do not fit: {told}")
    expect(attempt(os.fsync, descriptor) is None, "the error was told twice")
    os.close(descriptor)
    check(kept)
    for name in [*kept, path]:
        os.unlink(name)


need_fuse()
if os.geteuid() != 0:
    print("skipped: mounting a loop device needs root")
    sys.exit(77)
with cluster(start=False) as made:
    os.makedirs(made.folder)
    disks = [make_disk(made.folder, number, DISK) for number in range(made.oss)]
    try:
        made.up()
        rounds(made)
        allocations(made)
        mapped(made)
        made.down()
    finally:
        made.kill_all()
        subprocess.run(["umount", "-l", made.mount], stderr=subprocess.DEVNULL, check=False)
        for disk in disks:
            subprocess.run(["umount", "-l", disk], check=False)
print("full, emptied and filled again")
