# SPDX-License-Identifier: Apache-2.0
"""unlink, and who may remove what from sticky directories."""
import errno
import os

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, os.unlink, follows=False)
    w.fails(errno.EFAULT, c_call, "unlink", BAD_ADDRESS)


@case
def errors_of_the_directory(w):
    parent_errors(w, os.unlink, w.write)


@case
def every_kind(w):
    for kind in KINDS:
        if kind == "directory":
            continue
        w.make(kind, kind)
        with w.times(changed_mc="."):
            w.ok(os.unlink, kind)
        w.absent(kind)


@case
def a_directory_is_not_unlinked(w):
    w.folder("folder")
    with w.times(same=(".", "folder")):
        w.fails(errno.EISDIR, os.unlink, "folder")
        w.fails(errno.EISDIR, os.unlink, ".")
        w.fails(errno.EISDIR, os.unlink, "..")
    w.write("file")
    w.fails(errno.ENOTDIR, os.unlink, "file/")
    os.symlink("folder", "link")
    w.fails(errno.ENOTDIR, os.unlink, "link/")
    w.ok(os.unlink, "link")


@case
def other_names_stay(w):
    w.write("file", b"text")
    os.link("file", "second")
    with w.times(changed_c="second", changed_mc="."):
        w.ok(os.unlink, "file")
    w.links("second", 1)
    with open("second", "rb") as file:
        w.same(file.read(), b"text", "bytes of the other name")


@case
def an_open_file_lives_on(w):
    """S03."""
    file = os.open("file", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(file, b"first")
    os.unlink("file")
    w.same(os.fstat(file).st_nlink, 0, "link count")
    w.same(os.pwrite(file, b"second", 0), 6, "write after unlink")
    w.same(os.pread(file, 10, 0), b"second", "read after unlink")
    os.ftruncate(file, 3)
    w.same(os.fstat(file).st_size, 3, "size after unlink")
    w.write("file", b"another")
    w.true(os.stat("file").st_ino != os.fstat(file).st_ino, "a new file of that name is another")
    w.same(os.pread(file, 10, 0), b"sec", "the old one's bytes")
    os.close(file)


def sticky_matrix():
    """Who owns the directory, who the thing, who asks, and whether he may."""
    for folder_owner in (ANN, BOB, 0):
        for thing_owner in (ANN, BOB, 0):
            for asking in (ANN, 0):
                yield folder_owner, thing_owner, asking, asking in (0, folder_owner, thing_owner)


@case
def sticky_directories(w):
    for folder_owner, thing_owner, asking, allowed in sticky_matrix():
        place = w.folder("sticky", 0o1777, (folder_owner, TEAM))
        for kind in KINDS:
            path = w.make(kind, f"{place}/{kind}", 0o777, (thing_owner, TEAM))
            remove = os.rmdir if kind == "directory" else os.unlink
            with w.times(**{"changed_mc" if allowed else "same": place}), w.user(asking, TEAM):
                w.fails(0 if allowed else errno.EPERM, remove, path)
            if allowed:
                w.absent(path)
            else:
                remove(path)
        os.rmdir(place)


@case
def without_the_sticky_bit_write_permission_suffices(w):
    place = w.folder("shared", 0o777, (ANN, TEAM))
    for kind in KINDS:
        path = w.make(kind, f"{place}/{kind}", 0o000, (ANN, TEAM))
        with w.user(BOB, OTHERS):
            w.ok(os.rmdir if kind == "directory" else os.unlink, path)


@case
def a_sticky_directory_that_is_read_only(w):
    place = w.folder("sticky", 0o1777, (ANN, TEAM))
    w.write(f"{place}/file", owner=(BOB, TEAM))
    os.chmod(place, 0o1755)
    with w.user(BOB):
        w.fails(errno.EACCES, os.unlink, f"{place}/file")
