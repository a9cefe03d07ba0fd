# SPDX-License-Identifier: Apache-2.0
"""Random calls by several users in a small tree, each made on a local file system and on a mount: errno and everything
that stat tells must be the same after each. A difference prints the seed and the last steps.

differential.py BUILD [--seed N] [--runs N] [--steps N] [--kernel-decides]"""
import argparse
import errno
import os
import random
import shutil
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from cluster import cluster, need_fuse, temporary_folder  # noqa: E402
from access_lists import ACCESS, DEFAULT, LISTS, acl  # noqa: E402
from world import ANN, BOB, OTHERS, TEAM, THIRD, name_of, renameat2, utimensat, UTIME_NOW, UTIME_OMIT  # noqa: E402

USERS = ((0, 0, ()), (ANN, OTHERS, ()), (ANN, TEAM, (THIRD,)), (BOB, TEAM, ()), (BOB, OTHERS, (TEAM,)), (BOB, OTHERS, ()))
NAMES = ("a", "b", "c", "d")
MODES = (0o777, 0o755, 0o700, 0o750, 0o711, 0o644, 0o600, 0o666, 0o000, 0o2775, 0o1777, 0o4755, 0o2755, 0o6755, 0o3777, 0o2644)


class Side:
    """One of the two trees: a folder, and the descriptors that are open in it."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}

    def path(self, words):
        return os.path.join(self.folder, *words)

    def close_all(self):
        for file in self.files.values():
            os.close(file)
        self.files.clear()


def content(file, size, offset):
    return os.pread(file, size, offset)


def open_call(side, path, flags, mode, slot):
    file = os.open(path, flags, mode)
    if stat.S_ISDIR(os.fstat(file).st_mode):  # a directory that is removed while it is open is stale on a mount (S04)
        os.close(file)
        return "directory"
    if slot in side.files:
        os.close(side.files.pop(slot))
    side.files[slot] = file
    return "file"


def on_file(side, slot, call):
    if slot not in side.files:
        return "not open"
    return call(side.files[slot])


def choose_path(chance):
    return [chance.choice(NAMES) for _ in range(chance.choice((1, 1, 1, 2, 2, 2, 3)))]


def choose_call(chance):
    """A description for people and a function of a Side."""
    one, two = choose_path(chance), choose_path(chance)
    mode = chance.choice(MODES)
    slot = chance.randrange(3)
    number = chance.choice((0, 1, 7, 100, 4096, 5000, 70000))
    uid, gid = chance.choice((-1, 0, ANN, BOB)), chance.choice((-1, 0, TEAM, OTHERS, THIRD))
    if (uid, gid) == (-1, -1):
        gid = TEAM  # a chown of nothing: POSIX leaves open whether it touches times and set-id bits
    flags = chance.choice((os.O_RDONLY, os.O_WRONLY, os.O_RDWR)) | chance.choice((0, 0, os.O_TRUNC, os.O_APPEND))
    flags |= chance.choice((0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_NOFOLLOW, os.O_DIRECTORY)) | os.O_NONBLOCK
    rename_flags = chance.choice((0, 0, 0, 1, 2))
    times = chance.choice(((None, None), ((5, 6), (7, 8)), (UTIME_NOW, UTIME_OMIT), (UTIME_OMIT, (9, 1)), (UTIME_NOW, UTIME_NOW)))
    attribute = chance.choice(("user.x", "user.y", "trusted.x", "security.x"))
    list_name, value = chance.choice((ACCESS, ACCESS, DEFAULT)), acl(chance.choice(LISTS + ("owner:7 team:5 others:1",)))
    target = chance.choice(("a", "../b", "b/c", "missing", ".", "c"))
    kind = chance.choice((stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFREG))
    bits = chance.randrange(8)
    calls = (
        (6, f"mkdir {one} {mode:o}", lambda side: os.mkdir(side.path(one), mode)),
        (8, f"open {one} {flags:#x} {mode:o} as {slot}", lambda side: open_call(side, side.path(one), flags, mode, slot)),
        (2, f"mknod {one} {kind | mode:o}", lambda side: os.mknod(side.path(one), kind | mode, os.makedev(1, 3))),
        (2, f"symlink {target} {one}", lambda side: os.symlink(target, side.path(one))),
        (4, f"link {one} {two}", lambda side: os.link(side.path(one), side.path(two), follow_symlinks=False)),
        (5, f"unlink {one}", lambda side: os.unlink(side.path(one))),
        (3, f"rmdir {one}", lambda side: os.rmdir(side.path(one))),
        (8, f"rename {one} {two} {rename_flags}", lambda side: renameat2(side.path(one), side.path(two), rename_flags)),
        (6, f"chmod {one} {mode:o}", lambda side: os.chmod(side.path(one), mode)),
        (4, f"lchown {one} {uid} {gid}", lambda side: os.lchown(side.path(one), uid, gid)),
        (3, f"truncate {one} {number}", lambda side: os.truncate(side.path(one), number)),
        (3, f"utimensat {one} {times}", lambda side: utimensat(side.path(one), *times)),
        (3, f"access {one} {bits}", lambda side: os.access(side.path(one), bits, effective_ids=True)),
        (3, f"listdir {one}", lambda side: sorted(os.listdir(side.path(one)))),
        (1, f"readlink {one}", lambda side: os.readlink(side.path(one))),
        (3, f"setxattr {one} {attribute}",
         lambda side: os.setxattr(side.path(one), attribute, b"v" * (number % 200), follow_symlinks=False)),
        (2, f"getxattr {one} {attribute}", lambda side: os.getxattr(side.path(one), attribute, follow_symlinks=False)),
        (1, f"removexattr {one} {attribute}", lambda side: os.removexattr(side.path(one), attribute, follow_symlinks=False)),
        (2, f"listxattr {one}", lambda side: sorted(os.listxattr(side.path(one), follow_symlinks=False))),
        (5, f"setxattr {one} {list_name} {value.hex()}", lambda side: os.setxattr(side.path(one), list_name, value, follow_symlinks=False)),
        (3, f"getxattr {one} {list_name}", lambda side: os.getxattr(side.path(one), list_name, follow_symlinks=False)),
        (2, f"removexattr {one} {list_name}", lambda side: os.removexattr(side.path(one), list_name, follow_symlinks=False)),
        (6, f"pwrite {slot} {number}", lambda side: on_file(side, slot, lambda file: os.pwrite(file, b"w" * 100, number))),
        (3, f"pread {slot} {number}", lambda side: on_file(side, slot, lambda file: content(file, 300, number))),
        (2, f"ftruncate {slot} {number}", lambda side: on_file(side, slot, lambda file: os.ftruncate(file, number))),
        (2, f"fchmod {slot} {mode:o}", lambda side: on_file(side, slot, lambda file: os.fchmod(file, mode))),
        (2, f"close {slot}", lambda side: os.close(side.files.pop(slot)) if slot in side.files else None),
    )
    _, text, call = chance.choices(calls, weights=[call[0] for call in calls])[0]
    return text, call


def outcome(side, user, call):
    uid, gid, groups = user
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return call(side)
    except OSError as problem:
        return name_of(problem.errno)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])


def alike(call, local, mount, kernel_decides):
    """Two answers to one call. Where the kernel does not check who may search a directory, it comes to a later problem of
    the path before it asks about the directory: so of two things that are wrong with a path, or with one of two paths,
    the other may be told."""
    if local == mount:
        return True
    if kernel_decides or not (isinstance(local, str) and isinstance(mount, str)):
        return False
    if call in ("rename", "link"):
        return local in errno_names() and mount in errno_names()
    refused, of_a_type = {"EACCES", "EPERM"}, {"ENOTDIR", "EISDIR"}
    return (local in refused and mount in of_a_type) or (local in of_a_type and mount in refused)


def errno_names():
    return set(errno.errorcode.values())


def seen(side):
    """What stat and readlink tell of the whole tree, inode numbers as the order in which they are met."""
    found, numbers = {}, {}
    def look(path, name):
        got = os.lstat(path)
        number = numbers.setdefault(got.st_ino, len(numbers))
        is_folder = stat.S_ISDIR(got.st_mode)
        size = None if is_folder else got.st_size
        kept = got.st_mtime_ns if got.st_mtime_ns < 10**12 else "now"
        found[name] = (oct(got.st_mode), got.st_nlink, got.st_uid, got.st_gid, size, got.st_rdev, number, kept)
        if is_folder:
            for inner in sorted(os.listdir(path)):
                look(os.path.join(path, inner), os.path.join(name, inner))
    look(side.folder, "/")
    for slot, file in sorted(side.files.items()):
        got = os.fstat(file)
        found[f"file {slot}"] = (oct(got.st_mode), got.st_nlink, got.st_uid, None if stat.S_ISDIR(got.st_mode) else got.st_size)
    return found


def run(seed, steps, local, mount, kernel_decides):
    chance = random.Random(seed)
    sides = [Side(os.path.join(base, "tree")) for base in (local, mount)]
    history = []
    os.umask(0)
    for side in sides:
        os.mkdir(side.folder)
        os.chmod(side.folder, 0o777)
    try:
        for number in range(steps):
            text, call = choose_call(chance)
            user = chance.choice(USERS)
            results = [outcome(side, user, call) for side in sides]
            history.append(f"{number}: {user} {text} -> {results[0]!r}"[:200])
            states = [seen(side) for side in sides]
            if not alike(text.split()[0], *results, kernel_decides) or states[0] != states[1]:
                print("\n".join(history[-12:]))
                print(f"seed {seed}, step {number}: local {results[0]!r}, mount {results[1]!r}"[:2000])
                for name in sorted(set(states[0]) | set(states[1])):
                    if states[0].get(name) != states[1].get(name):
                        print(f"  {name}: local {states[0].get(name)}, mount {states[1].get(name)}")
                return False
    finally:
        for side in sides:
            side.close_all()
            shutil.rmtree(side.folder)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--kernel-decides", action="store_true")
    options = parser.parse_args()
    need_fuse()
    if os.geteuid() != 0:
        print("skipped: other users' rights can be tried by root alone")
        sys.exit(77)
    failed = []
    with temporary_folder() as local, cluster() as made:
        os.chmod(local, 0o755)
        os.chmod(os.path.dirname(made.folder), 0o755)
        mount = made.mount_another("other", "--default-permissions") if options.kernel_decides else made.mount
        for seed in range(options.seed, options.seed + options.runs):
            if not run(seed, options.steps, local, mount, options.kernel_decides):
                failed.append(seed)
    print(f"{options.runs} runs of {options.steps} steps from seed {options.seed}: {len(failed)} with differences {failed}")
    sys.exit(1 if failed else 0)


main()
