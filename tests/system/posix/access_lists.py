# SPDX-License-Identifier: Apache-2.0
"""Access control lists: what can be set, what chmod and new names make of them, and whom they let do what. The local file
system (ext4 as a rule) shows that the table is right."""
import errno
import os
import shutil
import stat
import struct
import subprocess

from world import ANN, BOB, KINDS, OTHERS, TEAM, THIRD, case

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
NO_FOLLOW = {"follow_symlinks": False}
TAGS = {"owner": 1, "user": 2, "team": 4, "group": 8, "mask": 16, "others": 32}
NO_ID = 0xffffffff


def acl(text, version=2):
    """"owner:7 user:65102:5 team:5 mask:7 others:0" as the value of the attribute."""
    value = struct.pack("<I", version)
    for word in text.split():
        tag, *numbers = word.split(":")
        id_ = int(numbers[0]) if len(numbers) == 2 else NO_ID
        value += struct.pack("<HHI", TAGS[tag], int(numbers[-1]), id_)
    return value


def text(path, name=ACCESS):
    try:
        value = os.getxattr(path, name)
    except OSError as problem:
        return errno.errorcode[problem.errno]
    names = {number: tag for tag, number in TAGS.items()}
    entries = [struct.unpack_from("<HHI", value, at) for at in range(4, len(value), 8)]
    return " ".join(names[tag] + (f":{id_}" if id_ != NO_ID else "") + f":{rights}" for tag, rights, id_ in entries)


def opens(path, flags):
    os.close(os.open(path, flags))


FULL = f"owner:7 user:{BOB}:6 team:4 group:{THIRD}:5 mask:7 others:1"


@case
def what_is_set_is_there(w):
    for path in (w.write("file"), w.folder("folder")):
        os.chown(path, ANN, TEAM)
        os.chmod(path, 0o640)
        w.same(text(path), "ENODATA", "no list")
        with w.times(changed_c=path):
            w.ok(os.setxattr, path, ACCESS, acl(FULL))
        w.same(text(path), FULL, "the list")
        w.mode(path, 0o771)
        w.same(os.listxattr(path), [ACCESS], "names")
        w.ok(os.setxattr, path, ACCESS, acl(FULL), os.XATTR_CREATE)  # the flags mean nothing for lists
        with w.user(BOB):
            w.same(text(path), FULL, "everybody may read it")
            w.fails(errno.EPERM, os.setxattr, path, ACCESS, acl(FULL))
            w.fails(errno.EPERM, os.removexattr, path, ACCESS)
        with w.user(ANN, TEAM):
            w.ok(os.setxattr, path, ACCESS, acl(f"owner:6 user:{BOB}:7 team:7 mask:1 others:0"))
        w.mode(path, 0o610)
        with w.times(changed_c=path):
            w.ok(os.removexattr, path, ACCESS)
        w.mode(path, 0o610)
        w.same(text(path), "ENODATA", "removed")
        w.ok(os.removexattr, path, ACCESS)
        w.same(os.listxattr(path), [], "names")


@case
def a_list_that_a_mode_can_say_is_not_kept(w):
    for path in (w.write("file"), w.folder("folder")):
        w.ok(os.setxattr, path, ACCESS, acl("owner:7 team:5 others:1"))
        w.mode(path, 0o751)
        w.same(text(path), "ENODATA", "nothing is kept")
        w.ok(os.setxattr, path, ACCESS, acl(FULL))
        w.ok(os.setxattr, path, ACCESS, acl("owner:6 team:4 others:0"))
        w.mode(path, 0o640)
        w.same(text(path), "ENODATA", "the old one went")
        w.ok(os.setxattr, path, ACCESS, acl(FULL))
        w.ok(os.setxattr, path, ACCESS, acl(""))  # no entries: as if it was removed
        w.same((text(path), stat.S_IMODE(os.stat(path).st_mode)), ("ENODATA", 0o771), "list and mode")
        w.ok(os.setxattr, path, ACCESS, acl("owner:6 team:7 mask:4 others:0"))
        w.same((text(path), stat.S_IMODE(os.stat(path).st_mode)), ("owner:6 team:7 mask:4 others:0", 0o640), "list and mode")


@case
def what_is_no_list(w):
    wrong = {
        errno.EINVAL: (
            b"x", acl("owner:7"), acl("team:7 owner:7 others:7"), acl("owner:7 team:7"), acl("owner:7 others:7"),
            acl("owner:7 owner:7 team:7 others:7"), acl(f"owner:7 user:{BOB}:7 team:7 others:7"),
            acl(f"owner:7 team:7 group:{TEAM}:7 others:7"), acl(f"owner:7 team:7 user:{BOB}:7 mask:7 others:7"),
            acl(f"owner:7 user:{NO_ID}:7 team:7 mask:7 others:7"), acl("owner:7 team:7 others:7 mask:7"),
            acl("owner:8 team:7 others:7"), acl("owner:7 team:7 mask:7 mask:7 others:7"), acl("owner:7 team:7 others:7") + b"x",
            acl("owner:7 team:7 others:7 others:7"), acl("owner:7 team:7 others:7")[:-4] + b"\0",
            struct.pack("<IHHI", 2, 64, 7, NO_ID)),
        errno.EOPNOTSUPP: (acl("owner:7 team:7 others:7", version=1), acl("", version=3)),
    }
    w.write("file", mode=0o600)
    w.folder("folder", 0o700)
    for code, values in wrong.items():
        for value in values:
            w.fails(code, os.setxattr, "file", ACCESS, value)
            w.fails(code, os.setxattr, "folder", ACCESS, value)
            w.fails(code, os.setxattr, "folder", DEFAULT, value)
    many = " ".join(f"user:{number}:7" for number in range(100000, 107000))
    w.fails((errno.ENOSPC, errno.E2BIG), os.setxattr, "file", ACCESS, acl(f"owner:7 {many} team:7 mask:7 others:7"))
    w.fails(errno.E2BIG, os.setxattr, "file", ACCESS, b"x" * 65537)
    w.same((text("file"), text("folder"), text("folder", DEFAULT)), ("ENODATA",) * 3, "nothing was kept")
    w.mode("file", 0o600)
    hundred = " ".join(f"user:{number}:7" for number in range(100000, 100100))
    w.ok(os.setxattr, "file", ACCESS, acl(f"owner:7 {hundred} team:7 mask:7 others:7"))
    w.same(len(text("file").split()), 104, "a hundred users")


@case
def which_kinds_have_lists(w):
    for kind in KINDS:
        path = w.make(kind, kind)
        os.lchown(path, ANN, TEAM)
        if kind == "symlink":
            for name in (ACCESS, DEFAULT):
                w.fails(errno.EOPNOTSUPP, os.setxattr, path, name, acl(FULL), **NO_FOLLOW)
                w.fails(errno.EOPNOTSUPP, os.getxattr, path, name, **NO_FOLLOW)
            continue
        w.ok(os.setxattr, path, ACCESS, acl(FULL))
        w.same(text(path), FULL, kind)
        if kind == "directory":
            w.same(text(path, DEFAULT), "ENODATA", "no default list")
            with w.user(BOB):
                w.fails(errno.EPERM, os.setxattr, path, DEFAULT, acl(FULL))
            mode = os.stat(path).st_mode
            with w.times(changed_c=path):
                w.ok(os.setxattr, path, DEFAULT, acl(FULL))
            w.same((text(path, DEFAULT), os.stat(path).st_mode), (FULL, mode), "default list, and the mode stays")
            w.ok(os.setxattr, path, DEFAULT, acl("owner:7 team:7 others:7"))
            w.same(text(path, DEFAULT), "owner:7 team:7 others:7", "a default list is kept also when a mode could say it")
            w.ok(os.removexattr, path, DEFAULT)
            w.same(text(path, DEFAULT), "ENODATA", "no default list")
        else:
            w.fails(errno.EACCES, os.setxattr, path, DEFAULT, acl(FULL))
            w.ok(os.removexattr, path, DEFAULT)


@case
def the_mode_and_the_list_go_together(w):
    for path in (w.write("file"), w.folder("folder")):
        os.setxattr(path, ACCESS, acl(FULL))
        w.ok(os.chmod, path, 0o1652 if stat.S_ISDIR(os.stat(path).st_mode) else 0o652)
        w.same(text(path), f"owner:6 user:{BOB}:6 team:4 group:{THIRD}:5 mask:5 others:2", "chmod changes the mask")
        w.ok(os.chmod, path, 0o700)
        w.same(text(path), f"owner:7 user:{BOB}:6 team:4 group:{THIRD}:5 mask:0 others:0", "chmod changes the mask")
        w.ok(os.chown, path, ANN, TEAM)
        w.same(text(path).split()[1], f"user:{BOB}:6", "a new owner changes nothing")
        os.chown(path, 0, 0)
        w.ok(os.rename, path, path + "-moved")
        w.same(text(path + "-moved").split()[1], f"user:{BOB}:6", "it belongs to the inode")


@case
def set_group_id_goes_with_a_list_of_a_stranger(w):
    for uid, gid, groups, kept in ((0, 0, (), True), (ANN, TEAM, (), True), (ANN, OTHERS, (THIRD, TEAM), True), (ANN, OTHERS, (), False)):
        for value in (FULL, "owner:7 team:7 others:1"):
            for path in (w.write("file"), w.folder("folder")):
                os.chown(path, ANN, TEAM)
                os.chmod(path, 0o6755)
                with w.user(uid, gid, groups):
                    w.ok(os.setxattr, path, ACCESS, acl(value))
                w.mode(path, 0o6771 if kept else 0o4771)
            os.unlink("file")
            os.rmdir("folder")


MAKERS = {
    "mkdir": os.mkdir,
    "open": lambda path, mode: os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode)),
    "mkfifo": os.mkfifo,
    "mknod": lambda path, mode: os.mknod(path, stat.S_IFREG | mode),
    "socket": lambda path, mode: os.mknod(path, stat.S_IFSOCK | mode),
}


@case
def what_is_made_inherits(w):
    """The default list instead of the umask; with the mode that the maker wanted as its bound."""
    lists = (FULL, "owner:7 team:5 others:5", "owner:6 team:6 others:0", f"owner:7 user:{BOB}:7 team:0 mask:5 others:0",
             "owner:7 team:7 mask:1 others:7")
    for number, default in enumerate(lists):
        folder = w.folder(f"folder{number}", 0o777)
        os.setxattr(folder, DEFAULT, acl(default))
        entries = [word.rsplit(":", 1) for word in default.split()]
        for mode in (0o777, 0o666, 0o640, 0o700, 0o000, 0o1751):
            for maker, make in MAKERS.items():
                path = f"{folder}/{maker}{mode:o}"
                os.umask(0o077)
                with w.user(ANN):
                    w.ok(make, path, mode)
                os.umask(0)
                tags = dict(entries)
                group = "mask" if "mask" in tags else "team"
                bound = {"owner": mode >> 6 & 7, group: mode >> 3 & 7, "others": mode & 7}
                wanted = {tag: int(rights) & bound.get(tag, 7) for tag, rights in entries}
                expected = " ".join(f"{tag}:{wanted[tag]}" for tag, _ in entries)
                w.same(text(path), expected if len(entries) > 3 else "ENODATA", f"list of {path}")
                sticky = mode & 0o1000
                w.mode(path, wanted["owner"] << 6 | wanted[group] << 3 | wanted["others"] | sticky)
                inherited = default if maker == "mkdir" else "ENODATA"
                if maker == "mkdir":
                    w.same(text(path, DEFAULT), inherited, f"default list of {path}")
                names = [name for name, has in ((ACCESS, len(entries) > 3), (DEFAULT, maker == "mkdir")) if has]
                w.same(sorted(os.listxattr(path)), names, f"names of {path}")
        os.symlink("nowhere", f"{folder}/link")
        w.mode(f"{folder}/link", 0o777)
        w.same(os.listxattr(f"{folder}/link", **NO_FOLLOW), [], "a symbolic link has none")
        os.mkdir(f"{folder}/plain")
        os.removexattr(f"{folder}/plain", DEFAULT)
        os.umask(0o027)
        os.mkdir(f"{folder}/plain/inner", 0o777)
        os.umask(0)
        w.mode(f"{folder}/plain/inner", 0o750)


@case
def without_a_list_the_umask(w):
    for umask in (0, 0o022, 0o077, 0o777, 0o137):
        for maker, make in MAKERS.items():
            os.umask(umask)
            w.ok(make, f"{maker}{umask:o}", 0o777)
            os.umask(0)
            w.mode(f"{maker}{umask:o}", 0o777 & ~umask)


@case
def set_group_id_is_inherited_beside_the_list(w):
    w.folder("folder", 0o777, (ANN, TEAM))
    os.chmod("folder", 0o2777)
    os.setxattr("folder", DEFAULT, acl(FULL))
    os.mkdir("folder/inner", 0o750)
    w.mode("folder/inner", 0o2750)
    w.same(os.stat("folder/inner").st_gid, TEAM, "group")
    w.same(text("folder/inner", DEFAULT), FULL, "default list")


CALLERS = ((0, 0, ()), (ANN, OTHERS, ()), (BOB, OTHERS, ()), (BOB, TEAM, ()), (BOB, OTHERS, (TEAM,)), (65103, THIRD, ()),
           (65103, OTHERS, (TEAM, THIRD)), (65103, OTHERS, ()))


def rights(value, uid, groups, executable=True):
    """What acl(5) gives: a number of 4 (read), 2 (write), 1 (execute), or a test of such a number."""
    if uid == 0:
        return lambda want: not want & 1 or executable
    entries = [word.split(":") for word in value.split()]
    tags = {entry[0]: int(entry[-1]) for entry in entries}
    if uid == ANN:
        return lambda want: tags["owner"] & want == want
    mask = tags.get("mask", 7)
    if tags.get("mask", tags["team"]) != 0:
        for tag, *numbers in entries:
            if tag == "user" and int(numbers[0]) == uid:
                return lambda want: int(numbers[1]) & mask & want == want
    mine = [int(numbers[-1]) for tag, *numbers in entries
            if (tag == "team" and TEAM in groups) or (tag == "group" and int(numbers[0]) in groups)]
    if tags.get("mask", tags["team"]) == 0:     # then only the mode counts
        mine = [0] if TEAM in groups else []
    if mine:
        return lambda want: any(one & want == want for one in mine) and mask & want == want
    return lambda want: tags["others"] & want == want


LISTS = (
    FULL,
    f"owner:0 user:{BOB}:7 team:0 mask:7 others:0",
    f"owner:7 user:{BOB}:0 team:7 mask:7 others:7",
    f"owner:7 user:{BOB}:7 team:7 mask:5 others:0",
    f"owner:7 user:{BOB}:7 team:7 mask:0 others:7",
    f"owner:7 team:4 group:{THIRD}:2 mask:7 others:7",
    f"owner:7 team:5 group:{THIRD}:3 mask:5 others:0",
    f"owner:0 team:0 group:{THIRD}:0 mask:7 others:7",
    "owner:0 team:7 mask:6 others:1",
)


@case
def files_open_to_those_whom_the_list_names(w):
    for number, value in enumerate(LISTS):
        path = w.write(f"file{number}", b"#!/bin/true\n", 0o777, (ANN, TEAM))
        os.setxattr(path, "user.a", b"x")
        os.setxattr(path, ACCESS, acl(value))
        executable = os.stat(path).st_mode & 0o111 != 0
        for uid, gid, groups in CALLERS:
            have = rights(value, uid, (gid, *groups), executable)
            refused = lambda want: 0 if have(want) else errno.EACCES
            with w.user(uid, gid, groups):
                w.fails(refused(4), opens, path, os.O_RDONLY)
                w.fails(refused(2), opens, path, os.O_WRONLY)
                w.fails(refused(6), opens, path, os.O_RDWR)
                w.fails(refused(2), os.truncate, path, 12)
                w.fails(refused(4), os.getxattr, path, "user.a")
                w.fails(refused(2), os.setxattr, path, "user.a", b"x")
                w.fails(0 if uid in (0, ANN) or have(2) else errno.EACCES, os.utime, path)
                for want in (1, 2, 4, 5, 6, 7):
                    w.same(os.access(path, want, effective_ids=True), have(want), f"access {want} to {value} by {uid} {gid} {groups}")


@case
def directories_open_to_those_whom_the_list_names(w):
    for number, value in enumerate(LISTS):
        path = w.folder(f"folder{number}", 0o777, (ANN, TEAM))
        w.write(f"{path}/file", b"text", 0o666)
        w.folder(f"{path}/inner", 0o777)
        w.write(f"{path}/inner/file", b"text", 0o666)
        os.setxattr(path, ACCESS, acl(value))
        for warm_by in (0, ANN, BOB):
            with w.user(warm_by, TEAM):
                w.outcome(os.stat, f"{path}/inner/file")
                w.outcome(os.listdir, path)
        for uid, gid, groups in CALLERS:
            have = rights(value, uid, (gid, *groups))
            refused = lambda want: 0 if have(want) else errno.EACCES
            with w.user(uid, gid, groups):
                w.fails(refused(4), os.listdir, path)
                w.fails(refused(1), os.stat, f"{path}/file")
                w.fails(refused(1), opens, f"{path}/inner/file", os.O_RDWR)
                w.fails(errno.ENOENT if have(1) else errno.EACCES, os.stat, f"{path}/missing")
                w.fails(refused(3), opens, f"{path}/new", os.O_CREAT | os.O_WRONLY)
                if have(3):
                    w.ok(os.unlink, f"{path}/new")
                w.fails(refused(3), os.mkdir, f"{path}/newer")
                if have(3):
                    w.ok(os.rmdir, f"{path}/newer")


@case
def a_list_takes_effect_at_once(w):
    """Names that were open to everybody are known to every cache; then a list closes the directory to one user."""
    w.folder("folder", 0o755, (ANN, TEAM))
    w.write("folder/file", b"text", 0o644)
    w.folder("folder/inner", 0o755)
    w.write("folder/inner/file", b"text", 0o644)
    closed_to_bob = acl(f"owner:7 user:{BOB}:0 team:5 mask:5 others:5")
    for _ in range(3):
        with w.user(BOB):
            w.ok(os.stat, "folder/file")
            w.ok(os.stat, "folder/inner/file")
            w.fails(errno.ENOENT, os.stat, "folder/missing")
        os.setxattr("folder", ACCESS, closed_to_bob)
        w.mode("folder", 0o755)
        with w.user(BOB):
            for path in ("folder/file", "folder/inner/file", "folder/missing"):
                w.fails(errno.EACCES, os.stat, path)
            w.fails(errno.EACCES, os.listdir, "folder")
        with w.user(65103):
            w.ok(os.stat, "folder/inner/file")
        os.removexattr("folder", ACCESS)
    os.setxattr("folder", ACCESS, closed_to_bob)
    w.ok(os.rename, "folder/inner", "inner")
    os.rename("inner", "folder/inner")
    with w.user(BOB):
        w.fails(errno.EACCES, os.stat, "folder/inner/file")


@case
def special_files(w):
    os.mkfifo("fifo", 0o666)
    os.chown("fifo", ANN, TEAM)
    with w.user(BOB):
        w.ok(opens, "fifo", os.O_RDWR | os.O_NONBLOCK)
    os.setxattr("fifo", ACCESS, acl(f"owner:6 user:{BOB}:4 team:6 mask:6 others:6"))
    w.mode("fifo", 0o666)
    with w.user(BOB):
        w.ok(opens, "fifo", os.O_RDONLY | os.O_NONBLOCK)
        w.fails(errno.EACCES, opens, "fifo", os.O_RDWR | os.O_NONBLOCK)
        w.ok(os.lstat, "fifo")
    with w.user(65103):
        w.ok(opens, "fifo", os.O_RDWR | os.O_NONBLOCK)


def run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.returncode, done.stdout)


@case
def the_usual_programs(w):
    w.folder("tree", 0o755, (ANN, TEAM))
    w.folder("tree/inner", 0o750, (ANN, TEAM))
    w.write("tree/inner/file", b"text", 0o640, (BOB, TEAM))
    os.link("tree/inner/file", "tree/link")
    w.same(run("setfacl", "-R", "-m", f"u:{BOB}:rwX,g:{THIRD}:rX", "tree"), (0, ""), "setfacl")
    w.same(run("setfacl", "-m", f"d:u:{ANN}:rwx,d:g::r-x,d:m::r-x", "tree/inner"), (0, ""), "setfacl of a default list")
    w.write("tree/inner/new", b"text")
    os.chown("tree/inner/new", ANN, TEAM)
    shown = run("getfacl", "-n", "-p", "-R", "tree")
    w.same(shown[0], 0, "getfacl")
    w.true(f"user:{BOB}:rwx" in shown[1] and f"default:user:{ANN}:rwx" in shown[1], f"getfacl shows the lists: {shown[1]}")
    for name, words in {"cp": ("cp", "-a", "tree", "copy"), "rsync": ("rsync", "-aHAX", "tree/", "copy/"),
                        "tar": ("sh", "-c", "tar --acls --xattrs -cf - -C tree . | (mkdir copy; tar --acls --xattrs -xpf - -C copy)")}.items():
        w.same(run(*words)[0], 0, name)
        copied = run("getfacl", "-n", "-p", "-R", "copy")
        w.same(copied[1].replace("# file: copy", "# file: tree"), shown[1], f"lists after {name}")
        shutil.rmtree("copy")
    with open("saved", "w", encoding="ascii") as file:
        file.write(shown[1])
    w.same(run("setfacl", "-R", "-b", "-k", "tree"), (0, ""), "setfacl -b")
    w.same((text("tree"), text("tree/inner", DEFAULT), text("tree/inner/file")), ("ENODATA",) * 3, "all lists are gone")
    w.same(run("setfacl", "--restore=saved"), (0, ""), "setfacl --restore")
    w.same(run("getfacl", "-n", "-p", "-R", "tree"), shown, "the lists are back")
