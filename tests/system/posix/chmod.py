# SPDX-License-Identifier: Apache-2.0
"""chmod, fchmod."""
import errno
import os
import stat

from paths import path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, THIRD, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.chmod(path, 0o644))
    w.fails(errno.EFAULT, c_call, "chmod", BAD_ADDRESS, 0o644)


@case
def every_bit_of_every_kind(w):
    for kind in KINDS:
        if kind == "symlink":
            continue
        path = w.make(kind, kind)
        for mode in (0o000, 0o111, 0o222, 0o444, 0o777, 0o4751, 0o2751, 0o1751, 0o7777, 0o644):
            w.ok(os.chmod, path, mode)
            w.mode(path, mode)
        with w.times(changed_c=path):
            w.ok(os.chmod, path, 0o751)
        with w.times(changed_c=path):
            w.ok(os.chmod, path, 0o751)


@case
def bits_beyond_the_mode_are_ignored(w):
    w.write("file")
    w.ok(os.chmod, "file", 0o170644)
    w.same(os.stat("file").st_mode, stat.S_IFREG | 0o644, "mode with type bits")


@case
def through_a_symbolic_link(w):
    w.write("file", mode=0o600)
    os.symlink("file", "link")
    with w.times(changed_c="file", same="link"):
        w.ok(os.chmod, "link", 0o640)
    w.mode("file", 0o640)
    w.mode("link", 0o777)


@case
def by_descriptor(w):
    w.write("file", mode=0o600, owner=(ANN, TEAM))
    file = os.open("file", os.O_RDONLY)
    with w.times(changed_c="file"):
        w.ok(os.fchmod, file, 0o4755)
    w.mode("file", 0o4755)
    with w.user(BOB):
        w.fails(errno.EPERM, os.fchmod, file, 0o777)
    os.unlink("file")
    w.ok(os.fchmod, file, 0o611)
    w.same(stat.S_IMODE(os.fstat(file).st_mode), 0o611, "mode of an unlinked file")
    os.close(file)


@case
def the_owner_alone(w):
    for kind in KINDS:
        if kind == "symlink":
            continue
        path = w.make(kind, kind, 0o777, (ANN, TEAM))
        with w.times(changed_c=path), w.user(ANN, TEAM):
            w.ok(os.chmod, path, 0o640)
        w.mode(path, 0o640)
        with w.times(same=path):
            with w.user(BOB, TEAM):
                w.fails(errno.EPERM, os.chmod, path, 0o666)
            with w.user(BOB, OTHERS, [TEAM]):
                w.fails(errno.EPERM, os.chmod, path, 0o666)
            with w.user(BOB):
                w.fails(errno.EPERM, os.chmod, path, 0o640)  # the mode that it has already
        w.mode(path, 0o640)
        os.chown(path, BOB, TEAM)
        with w.user(ANN, TEAM):
            w.fails(errno.EPERM, os.chmod, path, 0o666)


@case
def set_group_id_needs_the_group(w):
    for kind in ("regular", "directory", "fifo"):
        path = w.make(kind, kind, 0o755, (ANN, TEAM))
        for gid, groups, kept in ((TEAM, [], True), (OTHERS, [TEAM], True), (OTHERS, [THIRD, TEAM], True),
                                  (OTHERS, [], False), (OTHERS, [THIRD], False)):
            os.chmod(path, 0o755)
            with w.user(ANN, gid, groups):
                w.ok(os.chmod, path, 0o2755)
            w.mode(path, 0o2755 if kept else 0o755)
            with w.user(ANN, gid, groups):
                w.ok(os.chmod, path, 0o6700)
            w.mode(path, 0o6700 if kept else 0o4700)
        os.chmod(path, 0o2755)
        w.mode(path, 0o2755)  # root may, whatever its groups
        with w.user(ANN, OTHERS):
            w.ok(os.chmod, path, 0o755)
        w.mode(path, 0o755)


@case
def the_sticky_bit_is_for_everybody(w):
    for kind in ("regular", "directory", "fifo"):
        path = w.make(kind, kind, 0o755, (ANN, TEAM))
        with w.user(ANN, OTHERS):
            w.ok(os.chmod, path, 0o1755)
        w.mode(path, 0o1755)


@case
def what_it_does_to_access(w):
    w.write("file", b"text", mode=0o600, owner=(ANN, TEAM))
    readers = ((ANN, OTHERS, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, []))
    for mode in (0o000, 0o400, 0o040, 0o004, 0o044, 0o404, 0o440, 0o200, 0o020, 0o002, 0o666):
        os.chmod("file", mode)
        for uid, gid, groups in readers:
            shift = 6 if uid == ANN else 3 if TEAM in (gid, *groups) else 0
            with w.user(uid, gid, groups):
                for flags, bit in ((os.O_RDONLY, 4), (os.O_WRONLY, 2), (os.O_RDWR, 6)):
                    allowed = (mode >> shift) & bit == bit
                    w.fails(0 if allowed else errno.EACCES, lambda: os.close(os.open("file", flags)))


@case
def an_open_descriptor_keeps_its_rights(w):
    w.write("file", b"text", mode=0o644, owner=(ANN, TEAM))
    with w.user(BOB):
        reader = os.open("file", os.O_RDONLY)
    os.chmod("file", 0)
    with w.user(BOB):
        w.same(os.pread(reader, 10, 0), b"text", "read through a descriptor of before")
        w.fails(errno.EACCES, os.open, "file", os.O_RDONLY)
    os.close(reader)


@case
def set_id_bits_go_with_a_write_of_others(w):
    """Writes and cuts take the set-user-id bit, and the set-group-id bit of a group that may execute (S05)."""
    def by_write(path):
        file = os.open(path, os.O_WRONLY)
        os.write(file, b"x")
        os.close(file)

    def by_append(path):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(file, b"x")
        os.close(file)

    def by_ftruncate(path):
        file = os.open(path, os.O_RDWR)
        os.ftruncate(file, 1)
        os.close(file)

    def by_open(path):
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))

    for way in (by_write, by_append, lambda path: os.truncate(path, 2), by_ftruncate, by_open):
        for mode, left in ((0o4777, 0o777), (0o2777, 0o777), (0o6777, 0o777), (0o2767, None), (0o1777, 0o1777)):
            for uid in (BOB, ANN):
                for gid, groups in ((OTHERS, []), (TEAM, []), (OTHERS, [TEAM])):
                    path = w.write("file", b"text")
                    os.chown(path, ANN, TEAM)
                    os.chmod(path, mode)
                    with w.user(uid, gid, groups):
                        w.ok(way, path)
                    member = TEAM in (gid, *groups)
                    w.mode(path, left if left is not None else mode if member else mode & ~0o2000)
                    os.unlink(path)
        for mode in (0o4777, 0o2777, 0o6777, 0o2767):
            path = w.write("file", b"text")
            os.chown(path, ANN, TEAM)
            os.chmod(path, mode)
            w.ok(way, path)  # root keeps them
            w.mode(path, mode)
            os.unlink(path)


@case
def the_writer_matters_and_not_who_opened_the_file(w):
    path = w.write("file", b"text")
    os.chown(path, ANN, TEAM)
    file = os.open(path, os.O_RDWR)
    for change in (lambda: os.write(file, b"x"), lambda: os.ftruncate(file, 1)):
        os.chmod(path, 0o6755)
        change()
        w.mode(path, 0o6755)
        with w.user(BOB, OTHERS):
            change()
        w.mode(path, 0o755)
    os.close(file)


@case
def reading_and_empty_writes_keep_set_id_bits(w):
    path = w.write("file", b"text")
    os.chown(path, ANN, TEAM)
    os.chmod(path, 0o6777)
    with w.user(BOB):
        file = os.open(path, os.O_RDWR)
        os.pread(file, 4, 0)
        os.write(file, b"")
        os.close(file)
    w.mode(path, 0o6777)
