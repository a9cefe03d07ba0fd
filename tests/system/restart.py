# SPDX-License-Identifier: Apache-2.0
"""Goal: what was written is there after down and up; what was fsynced is there after every process was killed; objects of
removed files are destroyed although a kill came in between."""
import glob
import hashlib
import os
import time

from cluster import PATIENCE, cluster, expect, need_fuse, rideau, step


def write_durably(path, data):
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)


def content(number, size):
    return (hashlib.sha256(str(number).encode()).digest() * (size // 32 + 1))[:size]


def object_files(folder):
    return [path for path in glob.glob(folder + "/oss*/objects/**/*", recursive=True)
            if os.path.isfile(path) and len(os.path.basename(path)) >= 32]


need_fuse()
with cluster() as made:
    mount = made.mount
    step("files of many sizes, then down and up")
    os.makedirs(mount + "/a/b")
    sizes = [0, 1, 4095, 4096, 65536, 65537, 1 << 20, (1 << 20) + 1, 5 << 20]
    for number, size in enumerate(sizes):
        with open(f"{mount}/a/b/f{number}", "wb") as file:
            file.write(content(number, size))
    os.symlink("b/f3", mount + "/a/soft")
    os.link(mount + "/a/b/f4", mount + "/a/hard")
    os.setxattr(mount + "/a", "user.note", b"kept")
    os.utime(mount + "/a/b/f1", ns=(1_000_000_000_123_456_789, 1_000_000_000_987_654_321))
    before = {name: os.lstat(name) for name in glob.glob(mount + "/**", recursive=True)}
    made.down()
    expect(not os.path.ismount(mount), "still mounted after down")
    made.up()
    for number, size in enumerate(sizes):
        with open(f"{mount}/a/b/f{number}", "rb") as file:
            expect(file.read() == content(number, size), f"f{number} of {size} bytes changed")
    for name, old in before.items():
        new = os.lstat(name)
        for field in ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns"):
            expect(getattr(old, field) == getattr(new, field), f"{name}: {field} {getattr(old, field)} became {getattr(new, field)}")
    expect(os.readlink(mount + "/a/soft") == "b/f3", "the symbolic link changed")
    expect(os.getxattr(mount + "/a", "user.note") == b"kept", "the attribute changed")

    for round_number in range(3):
        step(f"kill -9 of every process, round {round_number}")
        for number in range(50):
            write_durably(f"{mount}/a/r{round_number}-{number}", content(number, number * 3001))
        descriptor = os.open(mount + "/a", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        with open(f"{mount}/a/unsynced-{round_number}", "wb") as file:
            file.write(b"may be lost")
        made.kill_all()
        made.up()
        for number in range(50):
            with open(f"{mount}/a/r{round_number}-{number}", "rb") as file:
                expect(file.read() == content(number, number * 3001), f"r{round_number}-{number} was fsynced and is not as it was")

    step("removed files leave no objects, also with a kill in between")
    for number in range(40):
        write_durably(f"{mount}/doomed-{number}", content(number, 3 << 20))
    rideau("sync", mount)
    for number in range(40):
        os.unlink(f"{mount}/doomed-{number}")
    rideau("sync", mount)
    made.kill_all()
    made.up()
    os.system(f"rm -rf {mount}/a")
    rideau("sync", mount)
    until = time.monotonic() + 60 * PATIENCE
    while object_files(made.folder) and time.monotonic() < until:
        time.sleep(0.2)
    expect(object_files(made.folder) == [], f"objects left: {object_files(made.folder)[:5]}")
    made.down()
    made.check()
print("everything that had to be there was there")
