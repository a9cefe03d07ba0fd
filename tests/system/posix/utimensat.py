# SPDX-License-Identifier: Apache-2.0
"""utimensat, futimens, and the range and grain of times."""
import errno
import os
import time

from paths import path_errors
from world import (ANN, AT_SYMLINK_NOFOLLOW, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, TICK_SECONDS, UTIME_NOW, UTIME_OMIT, c_call, case,
                   utimensat)


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: utimensat(path, None, None) if os.geteuid() else utimensat(path, (1, 0), (1, 0)))
    w.fails(errno.EFAULT, c_call, "utimensat", -100, BAD_ADDRESS, None, 0)
    w.fails(errno.EFAULT, c_call, "utimensat", -100, "here", BAD_ADDRESS, 0)


@case
def to_the_nanosecond(w):
    for kind in KINDS:
        path = w.make(kind, kind)
        for atime, mtime in (((1, 2), (3, 4)), ((1_000_000_000, 999_999_999), (1_000_000_001, 1)),
                             ((100, 100_000_000), (200, 200_000_000))):
            before = os.lstat(path)
            time.sleep(TICK_SECONDS)
            w.ok(utimensat, path, atime, mtime, AT_SYMLINK_NOFOLLOW)
            found = os.lstat(path)
            w.same(found.st_atime_ns, atime[0] * 10**9 + atime[1], f"atime of {kind}")
            w.same(found.st_mtime_ns, mtime[0] * 10**9 + mtime[1], f"mtime of {kind}")
            w.true(found.st_ctime_ns > before.st_ctime_ns, f"ctime of {kind} moves")


@case
def far_away(w):
    """Before 1970, after 2038 and after 2106."""
    w.write("file")
    for seconds in (-1, -2, -1000, -(1 << 31) + 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 7, (1 << 32) - 1, 1 << 32,
                    (1 << 32) + 1, (1 << 33) + 5, 0):
        for nanoseconds in (0, 1, 999_999_999):
            w.ok(utimensat, "file", (seconds, nanoseconds), (seconds + 1, nanoseconds))
            found = os.stat("file")
            w.same((found.st_atime_ns, found.st_mtime_ns),
                   (seconds * 10**9 + nanoseconds, (seconds + 1) * 10**9 + nanoseconds), "times")
    # What cannot be kept becomes the last time that can: 2262 for the mount, 2446 for ext4.
    for seconds in (15_000_000_000, 20_000_000_000, 1 << 60):
        w.ok(utimensat, "file", (1, 1), (seconds, 0))
        w.true(9_223_372_036 * 10**9 <= os.stat("file").st_mtime_ns <= seconds * 10**9, f"mtime of {seconds}")


@case
def now_and_omitted(w):
    w.write("file")
    utimensat("file", (100, 1), (200, 2))
    with w.times(changed_ac="file"):
        w.ok(utimensat, "file", UTIME_NOW, UTIME_OMIT)
    utimensat("file", (100, 1), (200, 2))
    with w.times(changed_mc="file"):
        w.ok(utimensat, "file", UTIME_OMIT, UTIME_NOW)
    utimensat("file", (100, 1), (200, 2))
    with w.times(changed_amc="file"):
        w.ok(utimensat, "file", UTIME_NOW, UTIME_NOW)
    with w.times(changed_amc="file"):
        w.ok(utimensat, "file", None, None)
    with w.times(same="file"):
        w.ok(utimensat, "file", UTIME_OMIT, UTIME_OMIT)
    w.ok(utimensat, "file", (7, 8), UTIME_OMIT)
    w.same(os.stat("file").st_atime_ns, 7_000_000_008, "atime alone")
    w.ok(utimensat, "file", UTIME_OMIT, (9, 10))
    w.same((os.stat("file").st_atime_ns, os.stat("file").st_mtime_ns), (7_000_000_008, 9_000_000_010), "mtime alone")
    with w.times(changed_ac="file"):
        w.ok(utimensat, "file", UTIME_NOW, (9, 10))
    for nanoseconds in (-1, 1_000_000_000, UTIME_NOW + 5):
        w.fails(errno.EINVAL, utimensat, "file", (1, nanoseconds), (1, 1))
        w.fails(errno.EINVAL, utimensat, "file", (1, 1), (1, nanoseconds))
    w.fails(errno.EINVAL, utimensat, "file", (1, 1), (1, 1), 0x8000)


@case
def who_may(w):
    callers = ((0, 0, []), (ANN, OTHERS, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, []))
    for kind in ("regular", "directory", "fifo"):
        path = w.make(kind, kind, owner=(ANN, TEAM))
        for mode in (0o000, 0o444, 0o200, 0o020, 0o002, 0o666, 0o646):
            os.chmod(path, mode)
            for uid, gid, groups in callers:
                owns = uid in (0, ANN)
                shift = 3 if TEAM in (gid, *groups) else 0
                writes = owns or mode >> shift & 2
                with w.user(uid, gid, groups):
                    w.fails(0 if writes else errno.EACCES, utimensat, path, None, None)
                    w.fails(0 if writes else errno.EACCES, utimensat, path, UTIME_NOW, UTIME_NOW)
                    for pair in (((1, 1), (1, 1)), (UTIME_NOW, (1, 1)), ((1, 1), UTIME_NOW), (UTIME_NOW, UTIME_OMIT),
                                 (UTIME_OMIT, UTIME_NOW), ((1, 1), UTIME_OMIT), (UTIME_OMIT, (1, 1))):
                        w.fails(0 if owns else errno.EPERM, utimensat, path, *pair)
                    w.ok(utimensat, path, UTIME_OMIT, UTIME_OMIT)
    w.write("file", mode=0o644, owner=(ANN, TEAM))
    with w.times(same="file"), w.user(BOB):
        w.fails(errno.EACCES, utimensat, "file", None, None)
        w.fails(errno.EPERM, utimensat, "file", (1, 1), (1, 1))


@case
def links_and_descriptors(w):
    w.write("file")
    os.symlink("file", "link")
    w.ok(utimensat, "link", (5, 0), (6, 0), AT_SYMLINK_NOFOLLOW)
    w.same((os.lstat("link").st_mtime_ns, os.stat("link").st_mtime_ns == 6 * 10**9), (6 * 10**9, False), "the link's own")
    w.ok(utimensat, "link", (7, 0), (8, 0))
    w.same((os.lstat("link").st_mtime_ns, os.stat("file").st_mtime_ns), (6 * 10**9, 8 * 10**9), "the file's")
    file = os.open("file", os.O_RDONLY)
    os.utime(file, ns=(11, 12))
    w.same((os.fstat(file).st_atime_ns, os.stat("file").st_mtime_ns), (11, 12), "by descriptor")
    os.close(file)


@case
def set_times_survive_what_was_written_before(w):
    """S11: the past stays though data that is older goes to disk later; what is written after moves it again."""
    for by_descriptor in (False, True):
        file = os.open("file", os.O_CREAT | os.O_RDWR, 0o600)
        os.write(file, b"x" * 200_000)
        os.utime(file if by_descriptor else "file", ns=(10**9, 2 * 10**9))
        w.same(os.stat("file").st_mtime_ns, 2 * 10**9, "mtime at once")
        os.fsync(file)
        w.same(os.stat("file").st_mtime_ns, 2 * 10**9, "mtime after fsync")
        os.close(file)
        w.same(os.stat("file").st_mtime_ns, 2 * 10**9, "mtime after close")
        with w.times(changed_mc="file"):
            with open("file", "r+b") as again:
                again.write(b"y")
        os.utime("file", ns=(10**9, 2 * 10**9))
        with w.times(changed_mc="file"):
            os.truncate("file", 10)
        os.unlink("file")


@case
def what_moves_which_times(w):
    w.write("file", b"text")
    utimensat("file", (1, 0), (2, 0))
    file = os.open("file", os.O_RDWR)
    with w.times(changed_mc="file"):
        os.pwrite(file, b"x", 0)
    with w.times(changed_mc="file"):
        os.pwrite(file, b"x", 100)
    os.close(file)
    with w.times(changed_c="file"):
        os.chmod("file", 0o600)
    os.link("file", "other")
    with w.times(changed_c="other", changed_mc="."):
        os.rename("file", "third")
    w.folder("folder")
    with w.times(changed_mc="folder"):
        w.write("folder/a")
    with w.times(same=("folder", "folder/a")):
        os.stat("folder/a")
        os.access("folder/a", os.R_OK)
        w.fails(errno.EEXIST, os.mkdir, "folder/a")
        w.fails(errno.ENOENT, os.unlink, "folder/b")
        w.fails(errno.ENOTEMPTY, os.rmdir, "folder")
