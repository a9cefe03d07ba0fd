# SPDX-License-Identifier: Apache-2.0
"""rmdir."""
import errno
import os

from paths import parent_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, TEAM, c_call, case
import paths


@case
def errors_of_the_path(w):
    """path_errors makes files, so those of its parts that need none are asked for with a name that is to be made."""
    def call(path):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            with_folder = path
            os.mkdir(with_folder)  # fails alike where the path is wrong
            os.rmdir(with_folder)

    paths.path_errors(w, call, creates=True)
    w.fails(errno.ENOENT, os.rmdir, "missing")
    w.fails(errno.EFAULT, c_call, "rmdir", BAD_ADDRESS)


@case
def errors_of_the_directory(w):
    parent_errors(w, os.rmdir, w.folder)


@case
def removes_and_counts(w):
    w.links(".", 2)
    for number in range(3):
        w.folder(f"f{number}")
        w.links(".", 3 + number)
    for number in range(3):
        with w.times(changed_mc="."):
            w.ok(os.rmdir, f"f{number}")
        w.absent(f"f{number}")
        w.links(".", 4 - number)


@case
def not_a_directory(w):
    for kind in KINDS:
        if kind == "directory":
            continue
        w.make(kind, kind)
        with w.times(same=(".", kind)):
            w.fails(errno.ENOTDIR, os.rmdir, kind)
    w.folder("folder")
    os.symlink("folder", "link")
    w.fails(errno.ENOTDIR, os.rmdir, "link")
    w.fails(errno.ENOTDIR, os.rmdir, "link/")


@case
def not_empty(w):
    for kind in KINDS:
        w.folder("folder")
        w.make(kind, f"folder/{kind}")
        with w.times(same=(".", "folder")):
            w.fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "folder")
        (os.rmdir if kind == "directory" else os.unlink)(f"folder/{kind}")
        w.ok(os.rmdir, "folder")


@case
def dots(w):
    w.folder("folder")
    w.folder("folder/inner")
    w.fails(errno.EINVAL, os.rmdir, "folder/inner/.")
    w.fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "folder/inner/..")
    w.fails(errno.EINVAL, os.rmdir, ".")
    w.ok(os.rmdir, "folder/inner/")


@case
def a_mount_point(w):
    """Only where it is the root of the file system under test."""
    if os.path.ismount(w.base) and w.base != "/":
        w.fails(errno.EBUSY, os.rmdir, w.base)
        w.fails(errno.EBUSY, os.rename, w.base, w.base + "-moved")


@case
def a_working_directory_that_is_gone(w):
    """S04: made anew, it is another."""
    home = os.getcwd()
    w.folder("folder")
    os.chdir("folder")
    os.rmdir(f"{home}/folder")
    w.fails((errno.ENOENT, errno.ESTALE), os.open, "file", os.O_CREAT | os.O_WRONLY)
    w.fails((errno.ENOENT, errno.ESTALE), os.mkdir, "inner")
    w.fails((errno.ENOENT, errno.ESTALE), os.stat, "file")
    os.mkdir(f"{home}/folder")
    open(f"{home}/folder/file", "w").close()
    w.fails((errno.ENOENT, errno.ESTALE), os.stat, "file")
    w.fails((errno.ENOENT, errno.ESTALE), os.open, "file", os.O_RDONLY)
    w.fails((errno.ENOENT, errno.ESTALE), os.open, "file2", os.O_CREAT | os.O_WRONLY)
    w.fails(errno.ENOENT, os.link, f"{home}/folder/file", "second")
    w.fails(errno.ENOENT, os.rename, f"{home}/folder/file", "second")
    w.fails(errno.ENOENT, os.symlink, "x", "second")
    w.same(os.stat(".").st_nlink, 0, "link count of the old one")
    w.same(os.listdir("."), [], "entries of the old one")
    os.chdir(home)
    w.same(w.names("folder"), ["file"], "entries of the new one")


@case
def an_unreadable_directory_goes(w):
    place = w.folder("place", 0o777)
    w.folder("place/closed", 0, (ANN, TEAM))
    with w.user(BOB):
        w.ok(os.rmdir, "place/closed")
    w.links(place, 2)
