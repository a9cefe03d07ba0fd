# SPDX-License-Identifier: Apache-2.0
"""symlink, readlink, and following."""
import errno
import os
import stat

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, TEAM, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.symlink("target", path), creates=True)
    w.fails(errno.EFAULT, c_call, "symlink", "target", BAD_ADDRESS)
    w.fails(errno.EFAULT, c_call, "symlink", BAD_ADDRESS, "new")


@case
def errors_of_the_path_for_readlink(w):
    def call(path):
        try:
            os.readlink(path)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
    path_errors(w, call, follows=False)
    for kind in KINDS:
        if kind != "symlink":
            w.fails(errno.EINVAL, os.readlink, w.make(kind, kind))


@case
def errors_of_the_directory(w):
    parent_errors(w, lambda path: os.symlink("target", path))


@case
def the_name_exists(w):
    for kind in KINDS:
        w.make(kind, kind)
        with w.times(same=(kind, ".")):
            w.fails(errno.EEXIST, os.symlink, "target", kind)


@case
def targets(w):
    for target in ("x", ".", "../..", "/absolute/path", "with a space\n", "n" * 255, "n" * 4000, "a/" * 2047 + "b"):
        with w.times(changed_mc="."):
            w.ok(os.symlink, target, "link")
        w.same(os.readlink("link"), target, "target")
        found = os.lstat("link")
        w.same((stat.S_ISLNK(found.st_mode), stat.S_IMODE(found.st_mode), found.st_size, found.st_nlink),
               (True, 0o777, len(target), 1), "what lstat says")
        os.unlink("link")
    w.fails(errno.ENAMETOOLONG, os.symlink, "n" * 4096, "link")
    w.fails(errno.ENOENT, os.symlink, "", "link")
    w.ok(os.symlink, "n" * 4095, "link")


@case
def following(w):
    w.write("file", b"text")
    w.folder("folder")
    os.symlink("file", "one")
    os.symlink("one", "two")
    os.symlink("folder", "there")
    with open("two", "rb") as file:
        w.same(file.read(), b"text", "through two links")
    w.write("there/new", b"in")
    w.same(w.names("folder"), ["new"], "made through a link")
    os.symlink("made-by-open", "dangling")
    w.write("dangling", b"x")
    w.true(os.path.isfile("made-by-open"), "open(O_CREAT) follows a link to nothing")
    os.symlink("itself", "itself")
    w.fails(errno.ELOOP, os.open, "itself", os.O_RDONLY)
    for number in range(41):
        os.symlink(f"chain{number + 1}" if number < 40 else "file", f"chain{number}")
    w.fails(errno.ELOOP, os.stat, "chain0")
    w.ok(os.stat, "chain1")


@case
def the_mask_and_owner_do_not_matter(w):
    os.chmod(".", 0o777)
    os.umask(0o777)
    with w.user(ANN, TEAM):
        os.symlink("target", "link")
    os.umask(0)
    w.mode("link", 0o777)
    w.owner("link", ANN, TEAM)
    with w.user(BOB):
        w.same(os.readlink("link"), "target", "what somebody else reads")
