# SPDX-License-Identifier: Apache-2.0
"""link."""
import errno
import os
import stat

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, c_call, case


@case
def errors_of_the_new_path(w):
    for uid in (ANN, ANN + 1, ANN + 2):
        w.write(f"/{w.base.strip('/')}/case/of-{uid}", mode=0o666, owner=(uid, TEAM))
    w.write("of-0")
    path_errors(w, lambda path: os.link(f"of-{os.geteuid()}", path), creates=True)
    w.fails(errno.EFAULT, c_call, "link", "of-0", BAD_ADDRESS)


@case
def errors_of_the_old_path(w):
    os.chmod(".", 0o777)

    def call(path):
        os.link(path, "second", follow_symlinks=False)
        os.unlink("second")

    path_errors(w, call, follows=False)
    w.fails(errno.EFAULT, c_call, "link", BAD_ADDRESS, "second")


@case
def errors_of_the_directory(w):
    for uid in (ANN, ANN + 1, ANN + 2):
        w.write(f"of-{uid}", mode=0o666, owner=(uid, TEAM))
    parent_errors(w, lambda path: os.link(f"of-{os.geteuid()}", path))


@case
def every_kind(w):
    os.mkdir("elsewhere")
    for kind in KINDS:
        if kind == "directory":
            continue
        first = w.make(kind, kind)
        w.links(first, 1)
        with w.times(changed_c=first, changed_mc="elsewhere", same="."):
            w.ok(os.link, first, f"elsewhere/{kind}", follow_symlinks=False)
        w.links(first, 2)
        a, b = os.lstat(first), os.lstat(f"elsewhere/{kind}")
        w.same((a.st_ino, a.st_mode, a.st_rdev), (b.st_ino, b.st_mode, b.st_rdev), f"both names of a {kind}")
        with w.times(changed_c=first):
            w.ok(os.lchown, f"elsewhere/{kind}", ANN, TEAM)
        w.owner(first, ANN, TEAM)
        with w.times(changed_c=first, changed_mc="elsewhere"):
            w.ok(os.unlink, f"elsewhere/{kind}")
        w.links(first, 1)
    w.same(w.names("elsewhere"), [], "what is left")


@case
def a_directory_has_one_name(w):
    w.folder("folder")
    with w.times(same=(".", "folder")):
        w.fails(errno.EPERM, os.link, "folder", "second")
    folder = w.folder("of-ann", 0o777, (ANN, TEAM))
    w.folder("of-ann/inner", 0o777, (ANN, TEAM))
    with w.user(ANN, TEAM):
        w.fails(errno.EPERM, os.link, "of-ann/inner", "of-ann/second")
    w.links(folder, 3)


@case
def the_new_name_exists(w):
    w.write("file")
    for kind in KINDS:
        w.make(kind, kind)
        with w.times(same=("file", kind, ".")):
            w.fails(errno.EEXIST, os.link, "file", kind)
    w.fails(errno.EEXIST, os.link, "file", "file")
    w.fails(errno.EEXIST, os.link, "file", ".")
    w.fails(errno.EEXIST, os.link, "file", "..")
    w.fails(errno.EEXIST, os.link, "directory", "regular")
    w.links("file", 1)


@case
def a_symbolic_link_itself_or_what_it_means(w):
    w.write("file")
    os.symlink("file", "link")
    w.ok(os.link, "link", "itself", follow_symlinks=False)
    w.true(stat.S_ISLNK(os.lstat("itself").st_mode), "a second name of the symbolic link")
    w.links("link", 2)
    w.ok(c_call, "linkat", -100, "link", -100, "meant", 0x400)
    w.links("file", 2)


@case
def a_removed_file_stays_removed(w):
    w.write("file")
    file = os.open("file", os.O_RDWR)
    os.unlink("file")
    w.fails(errno.ENOENT, c_call, "linkat", -100, f"/proc/self/fd/{file}", -100, "again", 0x400)
    os.close(file)
    w.absent("again")


@case
def nobody_links_to_what_he_may_not_use(w):
    """The kernel's rule fs.protected_hardlinks, where it is on."""
    with open("/proc/sys/fs/protected_hardlinks") as file:
        guarded = file.read().strip() == "1"
    os.chmod(".", 0o777)
    for kind in ("regular", "fifo", "symlink"):
        for mode in (0o644, 0o600, 0o666, 0o606, 0o066):
            path = w.make(kind, "thing", mode, (ANN, TEAM))
            for uid, gid, groups in ((0, 0, []), (ANN, OTHERS, []), (BOB, OTHERS, [TEAM]), (BOB, TEAM, []),
                                     (BOB, OTHERS, [])):
                shift = 3 if TEAM in (gid, *groups) else 0
                usable = kind == "regular" and (mode >> shift) & 6 == 6
                allowed = uid in (0, ANN) or usable or not guarded
                with w.user(uid, gid, groups):
                    w.fails(0 if allowed else errno.EPERM, os.link, path, "second", follow_symlinks=False)
                if os.path.lexists("second"):
                    os.unlink("second")
            os.unlink(path)


@case
def the_most_links(w):
    w.write("file")
    for number in range(2000):
        os.link("file", f"n{number}")
    w.links("file", 2001)
