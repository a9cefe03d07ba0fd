# SPDX-License-Identifier: Apache-2.0
"""Extended attributes: names, values, limits, who may (S13)."""
import errno
import os
import struct

from paths import path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, c_call, case

NO_FOLLOW = {"follow_symlinks": False}
VALUE = b"value"


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.listxattr(path))
    w.fails(errno.EFAULT, c_call, "getxattr", BAD_ADDRESS, "user.a", None, 0)


@case
def what_is_set_is_there(w):
    for path in (w.write("file"), w.folder("folder")):
        w.same(os.listxattr(path), [], "names")
        w.fails(errno.ENODATA, os.getxattr, path, "user.a")
        with w.times(changed_c=path):
            w.ok(os.setxattr, path, "user.a", VALUE)
        w.same(os.getxattr(path, "user.a"), VALUE, "value")
        with w.times(changed_c=path):
            w.ok(os.setxattr, path, "user.a", b"another")
        w.ok(os.setxattr, path, "user.empty", b"")
        w.same((os.getxattr(path, "user.a"), os.getxattr(path, "user.empty")), (b"another", b""), "values")
        w.ok(os.setxattr, path, "user.bytes", bytes(range(256)))
        w.same(os.getxattr(path, "user.bytes"), bytes(range(256)), "any bytes")
        w.same(sorted(os.listxattr(path)), ["user.a", "user.bytes", "user.empty"], "names")
        with w.times(same=path):
            w.fails(errno.EEXIST, os.setxattr, path, "user.a", VALUE, os.XATTR_CREATE)
            w.fails(errno.ENODATA, os.setxattr, path, "user.b", VALUE, os.XATTR_REPLACE)
            w.fails(errno.EINVAL, os.setxattr, path, "user.b", VALUE, 8)
            w.fails(errno.ENODATA, os.removexattr, path, "user.b")
        w.ok(os.setxattr, path, "user.a", VALUE, os.XATTR_REPLACE)
        w.ok(os.setxattr, path, "user.b", VALUE, os.XATTR_CREATE)
        with w.times(changed_c=path):
            w.ok(os.removexattr, path, "user.a")
        w.fails(errno.ENODATA, os.getxattr, path, "user.a")
        w.same(sorted(os.listxattr(path)), ["user.b", "user.bytes", "user.empty"], "names")


@case
def they_belong_to_the_inode(w):
    w.write("file")
    os.setxattr("file", "user.a", VALUE)
    os.link("file", "second")
    os.rename("file", "moved")
    w.same((os.getxattr("second", "user.a"), os.getxattr("moved", "user.a")), (VALUE, VALUE), "by each name")
    os.symlink("moved", "link")
    w.same(os.getxattr("link", "user.a"), VALUE, "through a symbolic link")
    w.write("new")
    w.same(os.listxattr("new"), [], "a new file has none")
    file = os.open("moved", os.O_RDWR)
    os.unlink("moved")
    os.unlink("second")
    w.same(os.getxattr(file, "user.a"), VALUE, "of an unlinked file")
    w.ok(os.setxattr, file, "user.b", VALUE)
    os.close(file)


@case
def room_for_the_answer(w):
    w.write("file")
    os.setxattr("file", "user.a", VALUE)
    w.same(c_call("getxattr", "file", "user.a", None, 0), len(VALUE), "size of the value")
    w.same(c_call("listxattr", "file", None, 0), len(b"user.a\0"), "size of the names")
    room = b"x" * 64
    w.fails(errno.ERANGE, c_call, "getxattr", "file", "user.a", room, 2)
    w.fails(errno.ERANGE, c_call, "listxattr", "file", room, 3)


@case
def limits(w):
    w.write("file")
    longest = "user." + "n" * 250
    w.ok(os.setxattr, "file", longest, VALUE)
    w.same(os.getxattr("file", longest), VALUE, "value of the longest name")
    w.fails(errno.ERANGE, os.setxattr, "file", longest + "n", VALUE)
    w.fails(errno.ERANGE, os.setxattr, "file", "", VALUE)
    w.fails(errno.EINVAL, os.setxattr, "file", "user.", VALUE)
    w.fails(errno.E2BIG, os.setxattr, "file", "user.big", b"v" * 65537)
    w.fails((0, errno.ENOSPC, errno.E2BIG), os.setxattr, "file", "user.big", b"v" * 65536)
    w.fails(errno.EOPNOTSUPP, os.setxattr, "file", "strange.a", VALUE)
    w.fails(errno.EOPNOTSUPP, os.getxattr, "file", "strange.a")
    w.fails(errno.EOPNOTSUPP, os.setxattr, "file", "nodot", VALUE)


@case
def there_is_a_bound(w):
    """An inode does not take attributes without end: after the bound ENOSPC, and what was there stays."""
    w.write("file")
    told = 0
    for number in range(2000):
        told = w.outcome(os.setxattr, "file", f"user.{number:04d}", b"v" * 1000)
        if told:
            break
    w.same(told, errno.ENOSPC, "an end")
    w.same(len(os.listxattr("file")), number, "names")
    w.same(os.getxattr("file", f"user.{number - 1:04d}"), b"v" * 1000, "the last one")
    w.ok(os.removexattr, "file", "user.0000")
    w.ok(os.setxattr, "file", "user.0000", b"v" * 500)


@case
def user_attributes_of_files_and_directories_alone(w):
    for kind in KINDS:
        if kind in ("regular", "directory"):
            continue
        path = w.make(kind, kind)
        w.fails(errno.EPERM, os.setxattr, path, "user.a", VALUE, **NO_FOLLOW)
        w.fails(errno.ENODATA, os.getxattr, path, "user.a", **NO_FOLLOW)
        w.fails(errno.EPERM, os.removexattr, path, "user.a", **NO_FOLLOW)


@case
def user_attributes_follow_the_mode(w):
    callers = ((0, 0, []), (ANN, OTHERS, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, []))
    for path in (w.write("file"), w.folder("folder")):
        os.chown(path, ANN, TEAM)
        os.setxattr(path, "user.a", VALUE)
        for mode in (0o000, 0o400, 0o200, 0o600, 0o040, 0o020, 0o004, 0o002, 0o666):
            os.chmod(path, mode)
            for uid, gid, groups in callers:
                shift = 6 if uid == ANN else 3 if TEAM in (gid, *groups) else 0
                have = 7 if uid == 0 else mode >> shift
                with w.user(uid, gid, groups):
                    w.fails(0 if have & 4 else errno.EACCES, os.getxattr, path, "user.a")
                    w.fails(0 if have & 2 else errno.EACCES, os.setxattr, path, "user.a", VALUE)
                    w.fails(errno.ENODATA if have & 2 else errno.EACCES, os.removexattr, path, "user.b")
                    w.ok(os.listxattr, path)
    os.chmod("folder", 0o1777)
    with w.user(BOB):
        w.fails(errno.EPERM, os.setxattr, "folder", "user.a", VALUE)  # of a sticky directory: its owner's
        w.same(os.getxattr("folder", "user.a"), VALUE, "value")
    with w.user(ANN):
        w.ok(os.setxattr, "folder", "user.a", VALUE)


@case
def trusted_attributes_are_root_s(w):
    for kind in KINDS:
        path = w.make(kind, kind)
        w.ok(os.setxattr, path, "trusted.a", VALUE, **NO_FOLLOW)
        w.same(os.getxattr(path, "trusted.a", **NO_FOLLOW), VALUE, "value")
        w.same(os.listxattr(path, **NO_FOLLOW), ["trusted.a"], "names")
        os.lchown(path, ANN, TEAM)
        with w.user(ANN, TEAM):
            w.fails(errno.ENODATA, os.getxattr, path, "trusted.a", **NO_FOLLOW)
            w.fails(errno.EPERM, os.setxattr, path, "trusted.a", VALUE, **NO_FOLLOW)
            w.fails(errno.EPERM, os.removexattr, path, "trusted.a", **NO_FOLLOW)
            w.same(os.listxattr(path, **NO_FOLLOW), [], "names for others")
        w.ok(os.removexattr, path, "trusted.a", **NO_FOLLOW)


@case
def security_attributes(w):
    for kind in KINDS:
        path = w.make(kind, kind)
        w.ok(os.setxattr, path, "security.rideau", VALUE, **NO_FOLLOW)
        w.same(os.getxattr(path, "security.rideau", **NO_FOLLOW), VALUE, "value")
        os.lchown(path, ANN, TEAM)
        with w.user(ANN, TEAM):
            w.fails(errno.EPERM, os.setxattr, path, "security.rideau", b"x", **NO_FOLLOW)
            w.fails(errno.EPERM, os.removexattr, path, "security.rideau", **NO_FOLLOW)
            w.same(os.getxattr(path, "security.rideau", **NO_FOLLOW), VALUE, "value for the owner")
        w.ok(os.removexattr, path, "security.rideau", **NO_FOLLOW)


CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # CAP_NET_RAW, permitted and effective


def has_capability(path):
    try:
        return os.getxattr(path, "security.capability") == CAPABILITY
    except OSError as problem:
        if problem.errno != errno.ENODATA:
            raise
        return False


@case
def capabilities_go_with_a_change(w):
    """Whatever changes a program's bytes, owner or group, by whomever, takes its capabilities."""
    def by_write(path):
        with open(path, "r+b", buffering=0) as file:
            file.write(b"x")

    def by_ftruncate(path):
        with open(path, "r+b", buffering=0) as file:
            file.truncate(1)

    ways = {
        "write": by_write,
        "truncate": lambda path: os.truncate(path, 1),
        "ftruncate": by_ftruncate,
        "open": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "chown": lambda path: os.chown(path, -1, TEAM),
    }
    for uid in (0, ANN):
        for name, way in ways.items():
            w.write("program", b"text", 0o755, (ANN, OTHERS))
            os.setxattr("program", "security.capability", CAPABILITY)
            w.true(has_capability("program"), "the capability is stored")
            with w.user(uid, OTHERS, [TEAM]):
                w.ok(way, "program")
            w.true(not has_capability("program"), f"{name} by {uid} takes it")
            w.ok(way, "program")
            os.unlink("program")
    w.write("program", b"text", 0o755, (ANN, OTHERS))
    os.setxattr("program", "security.capability", CAPABILITY)
    with w.user(ANN, OTHERS):
        os.chmod("program", 0o700)
        os.utime("program")
        with open("program", "rb") as file:
            file.read()
    os.rename("program", "renamed")
    os.setxattr("renamed", "user.a", VALUE)
    w.true(has_capability("renamed"), "other changes leave it")
    with w.user(ANN, OTHERS):
        w.fails(errno.EPERM, os.setxattr, "renamed", "security.capability", CAPABILITY)


@case
def names_of_the_system(w):
    """Access control lists (access_lists.py) are all there is of the kernel's own names."""
    for path in (w.write("file"), w.folder("folder")):
        w.fails(errno.ENODATA, os.getxattr, path, "system.posix_acl_access")
        w.fails(errno.EOPNOTSUPP, os.setxattr, path, "system.rideau", VALUE)
        w.fails(errno.EOPNOTSUPP, os.getxattr, path, "system.rideau")
