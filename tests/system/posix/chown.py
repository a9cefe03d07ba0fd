# SPDX-License-Identifier: Apache-2.0
"""chown, lchown, fchown."""
import errno
import os

from paths import path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, THIRD, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.chown(path, os.geteuid(), -1))
    w.fails(errno.EFAULT, c_call, "chown", BAD_ADDRESS, 0, 0)


@case
def errors_of_the_path_for_lchown(w):
    path_errors(w, lambda path: os.lchown(path, os.geteuid(), -1), follows=False)
    w.fails(errno.EFAULT, c_call, "lchown", BAD_ADDRESS, 0, 0)


@case
def root_gives_everything(w):
    for kind in KINDS:
        path = w.make(kind, kind)
        for uid, gid in ((ANN, TEAM), (BOB, -1), (-1, OTHERS), (0, 0), (4294967294, 4294967294), (ANN, TEAM)):
            before = os.lstat(path)
            with w.times(changed_c=path):
                w.ok(os.lchown, path, uid, gid)
            w.owner(path, before.st_uid if uid == -1 else uid, before.st_gid if gid == -1 else gid)
        with w.times(changed_c=path):
            w.ok(os.lchown, path, ANN, TEAM)  # nothing new, and yet a change
        w.ok(os.lchown, path, -1, -1)
        w.owner(path, ANN, TEAM)


@case
def follows_a_symbolic_link(w):
    w.write("file")
    os.symlink("file", "link")
    with w.times(changed_c="file", same="link"):
        w.ok(os.chown, "link", ANN, TEAM)
    w.owner("file", ANN, TEAM)
    w.owner("link", 0, 0)
    with w.times(changed_c="link", same="file"):
        w.ok(os.lchown, "link", BOB, OTHERS)
    w.owner("file", ANN, TEAM)
    w.owner("link", BOB, OTHERS)


@case
def by_descriptor(w):
    w.write("file")
    file = os.open("file", os.O_RDONLY)
    with w.times(changed_c="file"):
        w.ok(os.fchown, file, ANN, TEAM)
    with w.user(BOB):
        w.fails(errno.EPERM, os.fchown, file, BOB, -1)
    os.unlink("file")
    w.ok(os.fchown, file, BOB, OTHERS)
    w.same(os.fstat(file).st_uid, BOB, "owner of an unlinked file")
    os.close(file)


@case
def an_owner_chooses_among_his_groups(w):
    for kind in KINDS:
        path = w.make(kind, kind, 0o644, (ANN, TEAM))
        with w.times(changed_c=path), w.user(ANN, OTHERS, [THIRD, TEAM]):
            w.ok(os.lchown, path, ANN, OTHERS)
        w.owner(path, ANN, OTHERS)
        with w.user(ANN, OTHERS, [TEAM, THIRD]):
            w.ok(os.lchown, path, -1, THIRD)
        w.owner(path, ANN, THIRD)
        with w.user(ANN, TEAM):
            w.ok(os.lchown, path, ANN, THIRD)  # the group that it has already
            w.ok(os.lchown, path, -1, TEAM)
        w.owner(path, ANN, TEAM)
        with w.times(same=path):
            with w.user(ANN, TEAM, [THIRD]):
                w.fails(errno.EPERM, os.lchown, path, -1, OTHERS)
                w.fails(errno.EPERM, os.lchown, path, BOB, -1)
                w.fails(errno.EPERM, os.lchown, path, BOB, TEAM)
                w.fails(errno.EPERM, os.lchown, path, 0, 0)
            with w.user(BOB, TEAM, [OTHERS]):
                w.fails(errno.EPERM, os.lchown, path, BOB, -1)
                w.fails(errno.EPERM, os.lchown, path, -1, OTHERS)
                w.fails(errno.EPERM, os.lchown, path, -1, TEAM)
                w.fails(errno.EPERM, os.lchown, path, ANN, -1)
        w.owner(path, ANN, TEAM)


@case
def set_id_bits_go(w):
    """A program does not take its power to another owner or group; directories keep theirs."""
    for uid, gid, groups in ((0, 0, []), (ANN, OTHERS, [TEAM]), (ANN, TEAM, [OTHERS])):
        for mode in (0o4755, 0o2755, 0o6755, 0o4700, 0o2700, 0o6700, 0o6070, 0o7777):
            path = w.write("file")
            os.chown(path, ANN, TEAM)
            os.chmod(path, mode)
            with w.user(uid, gid, groups):
                w.ok(os.chown, path, -1, OTHERS)
            left = mode & ~0o4000
            if mode & 0o010:
                left &= ~0o2000
            w.mode(path, left)
            os.unlink(path)
    for new_uid, new_gid in ((ANN, -1), (-1, TEAM), (BOB, OTHERS), (ANN, TEAM)):
        path = w.write("file")
        os.chown(path, ANN, TEAM)
        os.chmod(path, 0o6755)
        w.ok(os.chown, path, new_uid, new_gid)
        w.mode(path, 0o755)
        os.unlink(path)
    # Without execution by the group, the bit goes when the caller is not of the file's group.
    path = w.write("file")
    os.chown(path, ANN, TEAM)
    os.chmod(path, 0o2744)
    with w.user(ANN, OTHERS):
        w.ok(os.chown, path, -1, OTHERS)
    w.mode(path, 0o744)
    os.chown(path, ANN, TEAM)
    os.chmod(path, 0o2744)
    with w.user(ANN, OTHERS, [TEAM]):
        w.ok(os.chown, path, -1, OTHERS)
    w.mode(path, 0o2744)
    folder = w.folder("folder", 0o7755, (ANN, TEAM))
    w.ok(os.chown, folder, BOB, OTHERS)
    w.mode(folder, 0o7755)
    fifo = w.make("fifo", "fifo")
    os.chown(fifo, ANN, TEAM)
    os.chmod(fifo, 0o6755)
    w.ok(os.chown, fifo, BOB, OTHERS)
    w.mode(fifo, 0o755)


@case
def nothing_to_change(w):
    """With both ids -1 nobody is refused, unless there are set-id bits to lose."""
    path = w.write("file")
    os.chown(path, ANN, TEAM)
    os.chmod(path, 0o755)
    with w.user(BOB):
        w.ok(os.chown, path, -1, -1)
    w.owner(path, ANN, TEAM)
