# SPDX-License-Identifier: Apache-2.0
"""rename and renameat2: every type over every type, directories, hard links, sticky directories, flags."""
import errno
import itertools
import os
import stat

from paths import parent_errors, path_errors
from world import (ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, TEAM, THIRD,
                   c_call, case, renameat2)

NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


@case
def errors_of_the_old_path(w):
    os.chmod(".", 0o777)

    def call(path):
        os.rename(path, "moved")
        os.unlink("moved")

    path_errors(w, call, follows=False)
    w.fails(errno.EFAULT, c_call, "rename", BAD_ADDRESS, "new")


@case
def errors_of_the_new_path(w):
    os.chmod(".", 0o777)
    for uid in (0, ANN, ANN + 1, ANN + 2):
        w.write(f"of-{uid}", owner=(uid, TEAM))

    def call(path):
        os.rename(f"of-{os.geteuid()}", path)
        os.rename(path, f"of-{os.geteuid()}")

    path_errors(w, call, creates=True)
    w.fails(errno.EFAULT, c_call, "rename", "of-0", BAD_ADDRESS)


@case
def errors_of_either_directory(w):
    os.chmod(".", 0o777)
    parent_errors(w, lambda path: os.rename(path, f"taken-by-{os.geteuid()}"), w.write)
    for name in w.names():
        if os.path.isdir(name):
            os.rename(name, f"first-{name}")
    for uid in (ANN, ANN + 1, ANN + 2):
        w.write(f"of-{uid}", owner=(uid, TEAM))

    def give(path):
        if not os.path.lexists(f"of-{os.geteuid()}"):
            os.close(os.open(f"of-{os.geteuid()}", os.O_CREAT | os.O_WRONLY))
        os.rename(f"of-{os.geteuid()}", path)

    parent_errors(w, give)


@case
def every_kind_to_a_free_name(w):
    w.folder("elsewhere")
    for kind in KINDS:
        path = w.make(kind, kind)
        before = os.lstat(path)
        w.ok(os.rename, path, f"new-{kind}")
        w.absent(path)
        found = os.lstat(f"new-{kind}")
        w.same((found.st_ino, found.st_mode, found.st_nlink), (before.st_ino, before.st_mode, before.st_nlink), kind)
        with w.times(changed_mc=(".", "elsewhere")):
            w.ok(os.rename, f"new-{kind}", f"elsewhere/{kind}")
        w.true(os.lstat(f"elsewhere/{kind}").st_ctime_ns > before.st_ctime_ns, f"ctime of the moved {kind}")
    w.links(".", 3)
    w.links("elsewhere", 3)


@case
def every_kind_over_every_kind(w):
    w.folder("there")
    for moved, replaced in itertools.product(KINDS, KINDS):
        w.make(moved, "moved")
        w.make(replaced, "there/replaced")
        before, gone = os.lstat("moved"), os.lstat("there/replaced")
        if moved == "directory" and replaced != "directory":
            expected = errno.ENOTDIR
        elif moved != "directory" and replaced == "directory":
            expected = errno.EISDIR
        else:
            expected = 0
        with w.times(**{"changed_mc" if expected == 0 else "same": (".", "there")}):
            w.fails(expected, os.rename, "moved", "there/replaced")
        if expected:
            w.same((os.lstat("moved").st_ino, os.lstat("there/replaced").st_ino), (before.st_ino, gone.st_ino), "both stay")
            (os.rmdir if moved == "directory" else os.unlink)("moved")
        else:
            w.absent("moved")
            w.same(os.lstat("there/replaced").st_ino, before.st_ino, f"{moved} over {replaced}")
        (os.rmdir if stat.S_ISDIR(os.lstat("there/replaced").st_mode) else os.unlink)("there/replaced")
        w.links("there", 2)
        w.links(".", 3)


@case
def directories_that_are_not_empty(w):
    for kind in KINDS:
        w.folder("moved")
        w.write("moved/inner")
        w.folder("there")
        w.make(kind, f"there/{kind}")
        with w.times(same=(".", "moved", "there")):
            w.fails(NOT_EMPTY, os.rename, "moved", "there")
        (os.rmdir if kind == "directory" else os.unlink)(f"there/{kind}")
        w.ok(os.rename, "moved", "there")
        w.same(w.names("there"), ["inner"], "a folder with something over an empty one")
        w.links(".", 3)
        os.unlink("there/inner")
        os.rmdir("there")


@case
def link_counts_of_directories(w):
    w.folder("a")
    w.folder("b")
    w.folder("a/x")
    w.folder("b/y")
    w.links("a", 3)
    w.ok(os.rename, "a/x", "b/x")
    w.links("a", 2)
    w.links("b", 4)
    w.same(os.stat("b/x/..").st_ino, os.stat("b").st_ino, "what .. is after the move")
    w.ok(os.rename, "b/x", "b/y")
    w.links("b", 3)
    w.ok(os.rename, "b/y", "a/z")
    w.links("a", 3)
    w.links("b", 2)


@case
def onto_a_hard_link_of_itself(w):
    """S02."""
    w.write("file", b"text")
    os.link("file", "second")
    w.folder("folder")
    os.link("file", "folder/third")
    with w.times(same=("file", "second", ".", "folder")):
        w.ok(os.rename, "file", "second")
        w.ok(os.rename, "file", "folder/third")
        w.ok(os.rename, "file", "file")
    w.same((w.names(), w.names("folder")), (["file", "folder", "second"], ["third"]), "all names stay")
    w.links("file", 3)
    w.ok(os.rename, "folder", "folder")
    w.fails(errno.EEXIST, renameat2, "file", "second", RENAME_NOREPLACE)
    w.ok(renameat2, "file", "second", RENAME_EXCHANGE)
    w.links("file", 3)


@case
def into_itself(w):
    """S02."""
    os.makedirs("a/b/c")
    w.folder("other")
    with w.times(same=(".", "a", "a/b", "a/b/c")):
        for path in ("a/x", "a/b/x", "a/b", "a/b/c", "a/b/c/x"):
            w.fails(errno.EINVAL, os.rename, "a", path)
        w.fails(NOT_EMPTY, os.rename, "a/b/c", "a")
        w.fails(NOT_EMPTY, os.rename, "other", "a")
        w.fails(NOT_EMPTY, os.rename, "a/b/c", "a/b")
    os.symlink("a/b", "link")
    w.fails(errno.EINVAL, os.rename, "a", "link/x")
    w.fails(errno.EINVAL, renameat2, "a", "a/b", RENAME_EXCHANGE)
    w.fails(errno.EINVAL, renameat2, "a/b", "a", RENAME_EXCHANGE)
    w.write("file")
    w.fails((errno.ENOTEMPTY, errno.EISDIR, errno.EEXIST), os.rename, "a/b/c", "a")
    w.write("a/b/file")
    w.fails((*NOT_EMPTY, errno.EISDIR), os.rename, "a/b/file", "a")


@case
def dots(w):
    w.folder("folder")
    w.folder("folder/inner")
    dot = (errno.EINVAL, errno.EBUSY)
    for old, new in ((".", "new"), ("..", "new"), ("folder/.", "new"), ("folder/inner/..", "new"), ("folder", "."),
                     ("folder", ".."), ("folder", "folder/inner/."), ("folder/inner", "folder/.."),
                     ("folder/inner", "folder/inner/..")):
        w.fails((*dot, *NOT_EMPTY), os.rename, old, new)
    w.write("file")
    w.fails(errno.ENOTDIR, os.rename, "file/", "new")
    w.fails(errno.ENOTDIR, os.rename, "file", "new/")
    w.fails(errno.ENOTDIR, os.rename, "folder/", "file/")
    w.ok(os.rename, "folder/", "renamed/")
    os.symlink("renamed", "link")
    w.fails(errno.ENOTDIR, os.rename, "link/", "new")


@case
def symbolic_links_are_renamed_themselves(w):
    w.write("file", b"text")
    os.symlink("file", "link")
    w.ok(os.rename, "link", "moved")
    w.same(os.readlink("moved"), "file", "target")
    w.write("other", b"other")
    w.ok(os.rename, "other", "moved")
    with open("file", "rb") as file:
        w.same(file.read(), b"text", "what the link meant")


@case
def open_files(w):
    """S01: who has the replaced file open reads it on."""
    w.write("old", b"old")
    w.write("new", b"new")
    file = os.open("old", os.O_RDWR)
    w.ok(os.rename, "new", "old")
    w.same((os.pread(file, 10, 0), os.fstat(file).st_nlink), (b"old", 0), "the replaced file")
    os.pwrite(file, b"OLD!", 0)
    w.same(os.pread(file, 10, 0), b"OLD!", "written after it was replaced")
    with open("old", "rb") as other:
        w.same(other.read(), b"new", "the name")
    os.close(file)
    w.write("one", b"one")
    os.link("one", "two")
    w.write("three")
    with w.times(changed_c="two"):
        w.ok(os.rename, "three", "one")
    w.links("two", 1)


@case
def other_file_systems(w):
    other = "/dev/shm" if os.stat("/dev/shm").st_dev != os.stat(".").st_dev else "/proc"
    w.write("file")
    w.fails(errno.EXDEV, os.rename, "file", f"{other}/rideau-posix")
    w.fails(errno.EXDEV, os.link, "file", f"{other}/rideau-posix")


@case
def sticky_source(w):
    for folder_owner, thing_owner, asking in itertools.product((ANN, BOB, 0), (ANN, BOB, 0), (ANN, 0)):
        allowed = asking in (0, folder_owner, thing_owner)
        place = w.folder("sticky", 0o1777, (folder_owner, TEAM))
        w.folder("free", 0o777)
        for kind in KINDS:
            path = w.make(kind, f"{place}/{kind}", 0o777, (thing_owner, TEAM))
            for target in (f"{place}/renamed", "free/renamed"):
                with w.times(**{"same" if not allowed else "changed_mc": place}), w.user(asking, TEAM):
                    # Moving a directory elsewhere writes its "..".
                    w.fails(0 if allowed else errno.EPERM, os.rename, path, target)
                if allowed:
                    os.rename(target, path)
        for folder in (place, "free"):
            for name in os.listdir(folder):
                found = f"{folder}/{name}"
                (os.rmdir if stat.S_ISDIR(os.lstat(found).st_mode) else os.unlink)(found)
            os.rmdir(folder)


@case
def sticky_target(w):
    for folder_owner, thing_owner, asking in itertools.product((ANN, BOB, 0), (ANN, BOB, 0), (ANN, 0)):
        allowed = asking in (0, folder_owner, thing_owner)
        place = w.folder("sticky", 0o1777, (folder_owner, TEAM))
        for kind in KINDS:
            w.make(kind, f"{place}/there", 0o777, (thing_owner, TEAM))
            w.make(kind, f"{place}/mine", 0o777, (asking, TEAM))
            with w.user(asking, TEAM):
                w.fails(0 if allowed else errno.EPERM, os.rename, f"{place}/mine", f"{place}/there")
            remove = os.rmdir if kind == "directory" else os.unlink
            remove(f"{place}/there")
            if not allowed:
                remove(f"{place}/mine")
        os.rmdir(place)


@case
def a_directory_that_may_not_be_written(w):
    """Its ".." is written when it moves elsewhere, and only then."""
    for uid, gid, groups, mode, allowed in ((ANN, OTHERS, [], 0o755, True), (ANN, OTHERS, [], 0o555, False),
                                            (BOB, TEAM, [], 0o775, True), (BOB, OTHERS, [TEAM], 0o775, True),
                                            (BOB, OTHERS, [TEAM], 0o757, False), (BOB, OTHERS, [], 0o755, False),
                                            (BOB, OTHERS, [], 0o757, True), (0, 0, [], 0o555, True)):
        for place in ("from", "to"):
            w.folder(place, 0o777)
        w.folder("from/moved", mode, (ANN, TEAM))
        with w.user(uid, gid, groups):
            w.ok(os.rename, "from/moved", "from/renamed")
            w.fails(0 if allowed else errno.EACCES, os.rename, "from/renamed", "to/moved")
        os.rmdir("to/moved" if allowed else "from/renamed")
        for place in ("from", "to"):
            os.rmdir(place)


@case
def not_replacing(w):
    for kind in KINDS:
        w.write("moved")
        w.make(kind, kind)
        with w.times(same=(".", "moved", kind)):
            w.fails(errno.EEXIST, renameat2, "moved", kind, RENAME_NOREPLACE)
        w.ok(renameat2, "moved", "free", RENAME_NOREPLACE)
        os.unlink("free")
    os.symlink("nowhere", "dangling")
    w.write("moved")
    w.fails(errno.EEXIST, renameat2, "moved", "dangling", RENAME_NOREPLACE)
    w.fails(errno.EEXIST, renameat2, "moved", "moved", RENAME_NOREPLACE)


@case
def exchanging(w):
    w.folder("here")
    w.folder("there")
    for one, other in itertools.product(KINDS, KINDS):
        w.make(one, "here/one")
        w.make(other, "there/other")
        before = os.lstat("here/one").st_ino, os.lstat("there/other").st_ino
        with w.times(changed_mc=("here", "there")):
            w.ok(renameat2, "here/one", "there/other", RENAME_EXCHANGE)
        w.same((os.lstat("there/other").st_ino, os.lstat("here/one").st_ino), before, f"{one} and {other} changed places")
        w.links("here", 3 if other == "directory" else 2)
        w.links("there", 3 if one == "directory" else 2)
        for path in ("here/one", "there/other"):
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
            if is_folder:
                w.same(os.stat(f"{path}/..").st_ino, os.stat(os.path.dirname(path)).st_ino, "what .. is")
            (os.rmdir if is_folder else os.unlink)(path)
    w.write("file")
    w.folder("full")
    w.write("full/inner")
    w.ok(renameat2, "file", "full", RENAME_EXCHANGE)
    w.same(w.names("file"), ["inner"], "a full folder changed places")
    w.fails(errno.ENOENT, renameat2, "file", "missing", RENAME_EXCHANGE)
    w.fails(errno.ENOENT, renameat2, "missing", "file", RENAME_EXCHANGE)


@case
def flags_that_exclude_each_other(w):
    w.write("file")
    w.write("other")
    w.fails(errno.EINVAL, renameat2, "file", "other", RENAME_EXCHANGE | RENAME_NOREPLACE)
    w.fails(errno.EINVAL, renameat2, "file", "other", RENAME_EXCHANGE | RENAME_WHITEOUT)
    w.fails(errno.EINVAL, renameat2, "file", "other", 8)


@case
def exchanging_needs_both_rights(w):
    place = w.folder("sticky", 0o1777)
    w.write(f"{place}/mine", owner=(ANN, TEAM))
    w.write(f"{place}/his", owner=(BOB, TEAM))
    with w.user(ANN):
        w.fails(errno.EPERM, renameat2, f"{place}/mine", f"{place}/his", RENAME_EXCHANGE)
        w.fails(errno.EPERM, renameat2, f"{place}/his", f"{place}/mine", RENAME_EXCHANGE)
    os.chmod(place, 0o777)
    with w.user(THIRD):
        w.ok(renameat2, f"{place}/mine", f"{place}/his", RENAME_EXCHANGE)
