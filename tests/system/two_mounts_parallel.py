# SPDX-License-Identifier: Apache-2.0
"""Goal: no order of calls, callbacks and invalidations on two mounts ends in a wait or in a wrong error (S25, S26, S31): several
processes on each change and read the same few names and files at once. Then both mounts show the same, and the check is clean.
usage: two_mounts_parallel.py BUILD [SEED [STEPS]]"""
import errno
import mmap
import os
import random
import subprocess
import sys

from cluster import cluster, expect, need_fuse, step

PROCESSES = 3  # on each mount
RECORD = 512   # what one write brings: one byte, again and again
USUAL = {errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.ESTALE, errno.ELOOP, errno.EPERM}


def use_file(source, path):
    """Writes whole records and cuts at their borders, so whoever reads one sees it whole."""
    what = source.choice(["write", "append", "cut", "read", "read", "map", "stat"])
    flags = {"write": os.O_RDWR, "append": os.O_WRONLY | os.O_APPEND, "cut": os.O_RDWR}.get(what, os.O_RDONLY)
    file = os.open(path, flags)
    try:
        offset = RECORD * source.randrange(32)
        if what in ("write", "append"):
            os.pwrite(file, bytes([source.randrange(1, 256)]) * RECORD, offset)
        elif what == "cut":
            os.ftruncate(file, offset)
        elif what == "stat":
            expect(os.fstat(file).st_size % RECORD == 0, f"a size within a record: {path}")
        elif what == "read":
            found = os.pread(file, RECORD, offset)
            expect(len(set(found)) <= 1, f"a torn record of {path} at {offset}: {sorted(set(found))}")
        else:
            try:
                mmap.mmap(file, 0, access=mmap.ACCESS_READ).close()
            except ValueError:
                pass  # an empty file
    finally:
        os.close(file)


def use_names(source, path, other, directory):
    action = source.choice(["create", "create", "mkdir", "link", "symlink", "unlink", "unlink", "rmdir", "rename", "rename", "list", "stat", "chmod"])
    if action == "create":
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | source.choice([0, os.O_EXCL, os.O_TRUNC]), 0o644))
    elif action == "list":
        with os.scandir(directory) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
    elif action in ("link", "rename"):
        getattr(os, action)(path, other)
    elif action == "symlink":
        os.symlink("somewhere", path)
    elif action == "chmod":
        os.chmod(path, source.choice([0o644, 0o755]))
    else:
        getattr(os, {"mkdir": "mkdir", "unlink": "unlink", "rmdir": "rmdir", "stat": "lstat"}[action])(path)


def work(folder, seed, steps):
    source = random.Random(seed)
    for number in range(steps):
        directories = [folder, folder + "/a", folder + "/b"]
        place = lambda: f"{source.choice(directories)}/{source.choice('abcdef')}"
        try:
            if source.random() < 0.4:
                use_file(source, f"{folder}/file{source.randrange(3)}")
            else:
                use_names(source, place(), place(), source.choice(directories))
        except OSError as problem:
            expect(problem.errno in USUAL, f"{folder}, seed {seed}, step {number}: {problem}")


def picture(folder):
    found = {}
    for at, directories, files in os.walk(folder):
        for name in directories + files:
            path = os.path.join(at, name)
            told = os.lstat(path)
            found[os.path.relpath(path, folder)] = (told.st_ino, told.st_mode, told.st_nlink, told.st_size, told.st_mtime_ns)
    for number in range(3):
        with open(f"{folder}/file{number}", "rb") as file:
            found[f"bytes of file{number}"] = file.read()
    return found


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 600
    with cluster() as made:
        mounts = [made.mount, made.mount_another("second")]
        for number in range(3):
            open(f"{mounts[0]}/file{number}", "w").close()
        step(f"seed {seed}, {steps} steps of {PROCESSES} processes on each of two mounts")
        arguments = [sys.executable, __file__, sys.argv[1], "work"]
        running = [subprocess.Popen(arguments + [mount, str(seed * 100 + number), str(steps)])
                   for number, mount in enumerate(mounts * PROCESSES)]
        try:
            for process in running:
                expect(process.wait(timeout=600) == 0, "a process ended with an error")
        finally:
            for process in running:
                process.kill()
                process.wait()
        step("both mounts show the same")
        first, second = [picture(mount) for mount in mounts]
        differing = [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]
        expect(not differing, f"the mounts differ in {[(name, first.get(name), second.get(name)) for name in differing][:3]}")
        made.down()
        made.check()
    print("nobody waited for ever, and both mounts agree")


if sys.argv[2:3] == ["work"]:
    work(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
else:
    need_fuse()
    main()
