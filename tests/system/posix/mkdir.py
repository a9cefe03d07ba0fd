# SPDX-License-Identifier: Apache-2.0
"""mkdir; what a new name gets from the umask, its maker and its directory, for every call that makes one."""
import errno
import os
import stat

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, THIRD, c_call, case

MAKERS = {
    "mkdir": lambda path, mode: os.mkdir(path, mode),
    "open": lambda path, mode: os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode)),
    "mkfifo": lambda path, mode: os.mkfifo(path, mode),
    "mknod": lambda path, mode: os.mknod(path, stat.S_IFREG | mode),
    "socket": lambda path, mode: os.mknod(path, stat.S_IFSOCK | mode),
}


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.mkdir(path, 0o755), creates=True)
    w.fails(errno.EFAULT, c_call, "mkdir", BAD_ADDRESS, 0o755)


@case
def errors_of_the_directory(w):
    parent_errors(w, lambda path: os.mkdir(path, 0o755))


@case
def the_name_exists(w):
    for kind in KINDS:
        w.make(kind, kind)
        with w.times(same=(kind, ".")):
            w.fails(errno.EEXIST, os.mkdir, kind, 0o755)
    for path in (".", "..", "directory/.", "directory/..", "directory/", "/"):
        w.fails(errno.EEXIST, os.mkdir, path, 0o755)


@case
def a_name_with_a_slash_behind_it(w):
    w.ok(os.mkdir, "folder/")
    w.fails(errno.ENOENT, os.mkdir, "missing/.")
    os.symlink("made", "dangling")
    w.fails(errno.EEXIST, os.mkdir, "dangling")


@case
def mode_and_umask(w):
    for name, make in MAKERS.items():
        for mode, mask in ((0o777, 0), (0o755, 0), (0o777, 0o022), (0o777, 0o077), (0o151, 0), (0o151, 0o77),
                           (0o345, 0o70), (0o345, 0o501), (0, 0), (0o666, 0o777)):
            os.umask(mask)
            w.ok(make, "thing", mode)
            os.umask(0)
            w.mode("thing", mode & ~mask)
            (os.rmdir if name == "mkdir" else os.unlink)("thing")


@case
def new_and_empty(w):
    with w.times(changed_mc="."):
        w.ok(os.mkdir, "folder", 0o755)
    found = os.stat("folder")
    w.same(found.st_nlink, 2, "link count")
    w.same(w.names("folder"), [], "entries")
    for number in range(5):
        os.mkdir(f"folder/{number}")
    w.links("folder", 7)
    w.same(os.stat("folder/3/..").st_ino, found.st_ino, "what .. is")
    w.same(os.stat("folder/.").st_ino, found.st_ino, "what . is")


@case
def times_are_those_of_now(w):
    for name, make in MAKERS.items():
        w.write("before")
        before = os.stat("before").st_mtime_ns
        with w.times(changed_mc="."):
            make("thing", 0o600)
        found = os.stat("thing")
        w.true(before < found.st_mtime_ns, f"times after {name}")
        w.true(w.one_moment(found.st_mtime_ns, found.st_ctime_ns), f"mtime and ctime after {name}")
        w.same(found.st_atime_ns, found.st_mtime_ns, f"atime after {name}")
        w.true(w.one_moment(found.st_mtime_ns, os.stat(".").st_mtime_ns), "time of the directory and of what was made in it")
        (os.rmdir if name == "mkdir" else os.unlink)("thing")


@case
def owner_and_group(w):
    os.chmod(".", 0o777)
    w.folder("of-the-team", 0o2777, (BOB, TEAM))
    for name, make in MAKERS.items():
        with w.user(ANN, OTHERS, [THIRD]):
            make(name, 0o755)
            make(f"of-the-team/{name}", 0o755)
        w.owner(name, ANN, OTHERS)
        w.owner(f"of-the-team/{name}", ANN, TEAM)
        w.mode(name, 0o755)
        w.mode(f"of-the-team/{name}", 0o2755 if name == "mkdir" else 0o755)
        make(f"of-the-team/roots-{name}", 0o755)
        w.owner(f"of-the-team/roots-{name}", 0, TEAM)
    with w.user(ANN, OTHERS):
        os.symlink("x", "of-the-team/link")
    w.owner("of-the-team/link", ANN, TEAM)


@case
def set_id_bits_in_the_mode(w):
    os.chmod(".", 0o777)
    w.folder("of-the-team", 0o2777, (BOB, TEAM))
    for name, make in MAKERS.items():
        if name == "mkdir":
            continue  # Linux keeps the sticky bit of mkdir alone; see below
        for gid, groups in ((OTHERS, []), (OTHERS, [TEAM]), (TEAM, [])):
            member = TEAM in (gid, *groups)
            for mode in (0o4755, 0o2755, 0o6711, 0o2644, 0o1644):
                with w.user(ANN, gid, groups):
                    make("thing", mode)
                    make("of-the-team/thing", mode)
                w.mode("thing", mode)
                kept = mode if member or mode & 0o2010 != 0o2010 else mode & ~0o2000
                w.mode("of-the-team/thing", kept)
                os.unlink("thing")
                os.unlink("of-the-team/thing")
    for mode in (0o1755, 0o4755, 0o2755):
        os.mkdir("thing", mode)
        w.mode("thing", mode & 0o1777)
        os.rmdir("thing")
        with w.user(ANN, OTHERS):
            os.mkdir("of-the-team/thing", mode)
        w.mode("of-the-team/thing", 0o2000 | mode & 0o1777)
        os.rmdir("of-the-team/thing")
