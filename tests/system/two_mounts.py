# SPDX-License-Identifier: Apache-2.0
"""Goal: two mounts of one cluster see each other's calls as soon as they have returned, and neither hangs."""
import errno
import os
import random
import threading

from cluster import cluster, expect, need_fuse, run, step


def ping_pong(first, second):
    step("names, bytes, attributes go both ways")
    for number in range(50):
        here, there = (first, second) if number % 2 == 0 else (second, first)
        with open(f"{here}/n{number}", "w") as file:
            file.write(f"hello {number}")
        with open(f"{there}/n{number}") as file:
            expect(file.read() == f"hello {number}", f"n{number} does not show on the other mount")
        os.chmod(f"{there}/n{number}", 0o600)
        expect(os.stat(f"{here}/n{number}").st_mode & 0o777 == 0o600, "chmod does not show")
        os.rename(f"{here}/n{number}", f"{here}/m{number}")
        expect(not os.path.exists(f"{there}/n{number}") and os.path.exists(f"{there}/m{number}"), "rename does not show")


def open_file_seen(first, second):
    step("an open descriptor sees what the other mount appends and cuts")
    with open(first + "/shared", "w") as file:
        file.write("one\n")
    reader = os.open(second + "/shared", os.O_RDONLY)
    expect(os.pread(reader, 100, 0) == b"one\n", "first read")
    with open(first + "/shared", "a") as file:
        file.write("two\n")
    expect(os.fstat(reader).st_size == 8, "the size does not show through an open descriptor")
    expect(os.pread(reader, 100, 0) == b"one\ntwo\n", "the appended bytes do not show")
    os.truncate(first + "/shared", 2)
    expect(os.pread(reader, 100, 0) == b"on", "the cut does not show")
    os.unlink(first + "/shared")
    expect(os.pread(reader, 100, 0) == b"on", "an unlinked file stays readable until its close")
    os.close(reader)


def appends(first, second):
    step("appends from both mounts never overlap")
    def append(mount, tag):
        with open(mount + "/log", "ab", buffering=0) as file:
            for number in range(100):
                file.write(f"{tag}{number:05d}\n".encode())
    threads = [threading.Thread(target=append, args=(mount, tag)) for mount, tag in ((first, "a"), (second, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open(first + "/log") as file:
        lines = file.read().splitlines()
    expect(sorted(lines) == sorted(f"{tag}{number:05d}" for tag in "ab" for number in range(100)),
           f"{len(lines)} lines, some lost or torn")


def create_race(first, second):
    step("create, mkdir, unlink race on few names: one wins, nobody hangs")
    problems = []

    def race(mount, seed):
        chance = random.Random(seed)
        for _ in range(150):
            name = f"{mount}/race{chance.randrange(3)}"
            try:
                getattr(os, chance.choice(["mkdir", "rmdir", "unlink"]))(name) if chance.random() < 0.7 else open(name, "x").close()
            except (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError):
                pass
            except OSError as error:
                problems.append(f"{name}: {error}")

    threads = [threading.Thread(target=race, args=(mount, seed)) for seed, mount in enumerate((first, second, first, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not problems, f"unexpected errors: {problems[:3]}")
    expect(sorted(os.listdir(first)) == sorted(os.listdir(second)), "the mounts do not agree in the end")


def closed_elsewhere(first, second):
    """S32: a directory is closed, opened, filled and moved on one mount; on the other a stranger, and root before him."""
    if os.geteuid() != 0:
        return
    step("a directory that one mount closes is closed on the other")
    for mount in (first, second):
        os.chmod(os.path.dirname(mount), 0o755)
    os.chmod(os.path.dirname(os.path.dirname(first)), 0o755)

    def stranger(call, *arguments):
        os.seteuid(65102)
        try:
            call(*arguments)
            return "passed"
        except OSError as error:
            return errno.errorcode[error.errno]
        finally:
            os.seteuid(0)

    for number in range(8):
        here, there = (first, second) if number % 2 == 0 else (second, first)
        folder = f"folder{number}"
        os.makedirs(f"{here}/{folder}/inner")
        for name in ("file", "inner/file"):
            with open(f"{here}/{folder}/{name}", "w") as file:
                file.write("text")
        paths = [f"{there}/{folder}/{name}" for name in ("file", "inner", "inner/file")]
        expect([stranger(os.stat, path) for path in paths] == ["passed"] * 3, "not open on the other mount")
        os.chmod(f"{here}/{folder}", 0o700)
        expect([stranger(os.stat, path) for path in paths] == ["EACCES"] * 3, "not closed on the other mount")
        for path in paths:
            os.stat(path)  # root warms the caches of the other mount
        for path in paths:
            for call in (os.stat, os.listdir, os.unlink, os.getxattr, os.readlink):
                told = stranger(call, path, *(["user.a"] if call is os.getxattr else []))
                expect(told == "EACCES", f"{call.__name__} {path}: {told}")
        os.chmod(f"{there}/{folder}", 0o755)
        expect([stranger(os.stat, path) for path in paths] == ["passed"] * 3, "not open again on the mount that opened it")
        run("setfacl", "-m", "u:65102:---", f"{here}/{folder}")
        expect([stranger(os.stat, path) for path in paths] == ["EACCES"] * 3, "a list of the other mount does not close")
        expect("user:65102:---" in run("getfacl", "-np", f"{there}/{folder}").stdout, "the list does not show on the other mount")
        run("setfacl", "-b", f"{there}/{folder}")
        expect([stranger(os.stat, f"{here}/{folder}/file"), stranger(os.stat, paths[0])] == ["passed"] * 2, "not open again")
        os.makedirs(f"{here}/closed{number}", mode=0o700)
        os.rename(f"{here}/{folder}/inner", f"{here}/closed{number}/inner")
        expect(stranger(os.stat, f"{there}/closed{number}/inner/file") == "EACCES", "moved into a closed directory")


need_fuse()
with cluster() as made:
    other = made.mount_another("second")
    ping_pong(made.mount, other)
    open_file_seen(made.mount, other)
    appends(made.mount, other)
    create_race(made.mount, other)
    closed_elsewhere(made.mount, other)
    made.down()
    made.check()
print("both mounts agree")
