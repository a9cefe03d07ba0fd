# SPDX-License-Identifier: Apache-2.0
"""open in all its flags, and O_TMPFILE."""
import errno
import os
import stat

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, TEAM, c_call, case


def opens(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: opens(path, os.O_RDONLY))
    w.fails(errno.EFAULT, c_call, "open", BAD_ADDRESS, os.O_RDONLY)


@case
def errors_of_the_path_when_it_makes(w):
    path_errors(w, lambda path: opens(path, os.O_CREAT | os.O_WRONLY), creates=True)
    w.fails(errno.EFAULT, c_call, "open", BAD_ADDRESS, os.O_CREAT | os.O_WRONLY, 0o644)


@case
def errors_of_the_directory(w):
    parent_errors(w, lambda path: opens(path, os.O_CREAT | os.O_WRONLY))


@case
def making(w):
    with w.times(changed_mc="."):
        w.ok(opens, "file", os.O_CREAT | os.O_WRONLY)
    w.same(os.stat("file").st_size, 0, "size")
    with w.times(same=(".", "file")):
        w.ok(opens, "file", os.O_CREAT | os.O_WRONLY)
        w.ok(opens, "file", os.O_CREAT | os.O_RDONLY, 0)
        w.fails(errno.EEXIST, opens, "file", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    w.mode("file", 0o644)
    for kind in KINDS:
        path = w.make(kind, kind)
        with w.times(same=(".", path)):
            w.fails(errno.EEXIST, opens, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    w.fails(errno.EISDIR, opens, "directory", os.O_CREAT | os.O_WRONLY)
    w.fails((errno.EISDIR, errno.ENOENT), opens, "new/", os.O_CREAT | os.O_WRONLY)
    w.fails((errno.EISDIR, errno.EEXIST), opens, ".", os.O_CREAT | os.O_WRONLY)


@case
def cutting(w):
    w.write("file", b"text")
    with w.times(changed_mc="file"):
        w.ok(opens, "file", os.O_WRONLY | os.O_TRUNC)
    w.same(os.stat("file").st_size, 0, "size")
    with w.times(changed_mc="file"):
        w.ok(opens, "file", os.O_WRONLY | os.O_TRUNC)
    w.write("file", b"text")
    with w.times(changed_mc="file", same="."):
        w.ok(opens, "file", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
    w.same(os.stat("file").st_size, 0, "size")


@case
def a_cut_that_is_refused_cuts_nothing(w):
    """S06."""
    w.write("file", b"text", 0o444, (ANN, TEAM))
    with w.times(same="file"):
        for uid in (ANN, BOB):
            with w.user(uid, OTHERS):
                for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY):
                    w.fails(errno.EACCES, opens, "file", flags | os.O_TRUNC)
                    w.fails(errno.EACCES, opens, "file", flags | os.O_TRUNC | os.O_CREAT)
        w.fails(errno.EEXIST, opens, "file", os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_EXCL)
        w.fails(errno.ENOTDIR, opens, "file", os.O_RDONLY | os.O_TRUNC | os.O_DIRECTORY)
    w.same(os.stat("file").st_size, 4, "size")
    os.chmod("file", 0o666)
    with w.user(BOB, OTHERS):
        w.ok(opens, "file", os.O_RDONLY | os.O_TRUNC)  # what Linux does with it: it cuts
    w.same(os.stat("file").st_size, 0, "size")
    w.folder("closed")
    w.write("closed/file", b"text", 0o666)
    os.chmod("closed", 0)
    with w.user(BOB):
        w.fails(errno.EACCES, opens, "closed/file", os.O_WRONLY | os.O_TRUNC)
    os.chmod("closed", 0o755)
    w.same(os.stat("closed/file").st_size, 4, "size")


@case
def permissions(w):
    w.write("file", owner=(ANN, TEAM))
    callers = ((ANN, OTHERS, []), (ANN, TEAM, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, []))
    for mode in [bits << shift for bits in range(8) for shift in (0, 3, 6)] + [0o707, 0o770, 0o077, 0o757, 0o575]:
        os.chmod("file", mode)
        for uid, gid, groups in callers:
            shift = 6 if uid == ANN else 3 if TEAM in (gid, *groups) else 0
            have = mode >> shift & 7
            with w.user(uid, gid, groups):
                for flags, want in ((os.O_RDONLY, 4), (os.O_WRONLY, 2), (os.O_RDWR, 6), (os.O_RDONLY | os.O_TRUNC, 6),
                                    (os.O_WRONLY | os.O_TRUNC, 2), (os.O_RDWR | os.O_CREAT, 6)):
                    w.fails(0 if have & want == want else errno.EACCES, opens, "file", flags)
                w.ok(opens, "file", os.O_PATH)


@case
def directories(w):
    w.folder("folder", 0o700, (ANN, TEAM))
    w.write("folder/inside")
    w.ok(opens, "folder", os.O_RDONLY)
    w.ok(opens, "folder", os.O_RDONLY | os.O_DIRECTORY)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC):
        w.fails(errno.EISDIR, opens, "folder", flags)
    callers = ((ANN, OTHERS, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, []))
    for mode in (0o000, 0o111, 0o444, 0o400, 0o040, 0o004, 0o733, 0o377, 0o737, 0o773):
        os.chmod("folder", mode)
        for uid, gid, groups in callers:
            shift = 6 if uid == ANN else 3 if TEAM in (gid, *groups) else 0
            with w.user(uid, gid, groups):
                w.fails(0 if mode >> shift & 4 else errno.EACCES, opens, "folder", os.O_RDONLY | os.O_DIRECTORY)
                w.fails(0 if mode >> shift & 4 else errno.EACCES, os.listdir, "folder")
                w.ok(opens, "folder", os.O_PATH | os.O_DIRECTORY)
                w.fails(0 if mode >> shift & 1 else errno.EACCES, os.stat, "folder/inside")
    for kind in KINDS:
        if kind != "directory":
            w.fails(errno.ENOTDIR, opens, w.make(kind, kind), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


@case
def symbolic_links(w):
    w.write("file", b"text")
    os.symlink("file", "link")
    os.symlink("missing", "dangling")
    w.ok(opens, "link", os.O_RDONLY)
    w.fails(errno.ELOOP, opens, "link", os.O_RDONLY | os.O_NOFOLLOW)
    w.fails(errno.ELOOP, opens, "link", os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT)
    w.fails(errno.ELOOP, opens, "dangling", os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT)
    w.fails(errno.EEXIST, opens, "dangling", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    w.absent("missing")
    w.fails(errno.ENOENT, opens, "dangling", os.O_WRONLY)
    w.ok(opens, "link", os.O_PATH | os.O_NOFOLLOW)
    w.ok(opens, "dangling", os.O_WRONLY | os.O_CREAT)
    w.true(os.path.isfile("missing"), "made through the link")


@case
def other_kinds(w):
    w.make("fifo", "fifo")
    w.fails(errno.ENXIO, opens, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    w.ok(opens, "fifo", os.O_RDONLY | os.O_NONBLOCK)
    w.make("socket", "socket")
    w.fails(errno.ENXIO, opens, "socket", os.O_RDONLY)
    w.fails(errno.ENXIO, opens, "socket", os.O_WRONLY)
    os.mknod("nodevice", stat.S_IFCHR | 0o666, os.makedev(4095, 4095))
    w.fails((errno.ENXIO, errno.ENODEV, errno.EACCES), opens, "nodevice", os.O_RDONLY)
    os.mkfifo("guarded", 0o600)
    with w.user(BOB):
        w.fails(errno.EACCES, opens, "guarded", os.O_RDONLY | os.O_NONBLOCK)


@case
def append_and_offsets(w):
    w.write("file", b"0123")
    first = os.open("file", os.O_WRONLY | os.O_APPEND)
    second = os.open("file", os.O_WRONLY | os.O_APPEND)
    os.write(first, b"a")
    os.write(second, b"b")
    os.lseek(first, 0, os.SEEK_SET)
    os.write(first, b"c")
    w.same(os.lseek(first, 0, os.SEEK_CUR), 7, "offset after an append")
    os.close(first)
    os.close(second)
    with open("file", "rb") as file:
        w.same(file.read(), b"0123abc", "what was appended")


@case
def the_wrong_access(w):
    w.write("file", b"text")
    reader, writer = os.open("file", os.O_RDONLY), os.open("file", os.O_WRONLY)
    w.fails(errno.EBADF, os.write, reader, b"x")
    w.fails(errno.EBADF, os.read, writer, 1)
    os.close(reader)
    os.close(writer)
    folder = os.open(".", os.O_RDONLY)
    w.fails(errno.EISDIR, os.read, folder, 1)
    os.close(folder)


@case
def reading_changes_nothing(w):
    """The mount keeps no times of reading, and a local file system may; the other times stay with both."""
    w.write("file", b"text")
    w.write(w.folder("folder") + "/name")
    before = [(os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns) for path in ("file", "folder")]
    with open("file", "rb") as file:
        file.read()
    os.listdir("folder")
    after = [(os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns) for path in ("file", "folder")]
    w.same(after, before, "mtime and ctime")


@case
def without_a_name(w):
    try:
        file = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as problem:
        w.true(problem.errno in (errno.EOPNOTSUPP, errno.EISDIR), "O_TMPFILE is told to be missing")
        return
    os.write(file, b"text")
    w.same((w.names(), os.fstat(file).st_nlink), ([], 0), "no name")
    w.ok(c_call, "linkat", -100, f"/proc/self/fd/{file}", -100, "file", 0x400)
    w.same((w.names(), os.fstat(file).st_nlink), (["file"], 1), "a name of its own")
    os.close(file)


@case
def programs(w):
    with open("/bin/true", "rb") as file:
        w.write("program", file.read(), owner=(ANN, TEAM))
    w.write("script", b"#!/bin/sh\nexit 0\n", 0o755)

    def start(path, uid, gid, groups):
        def inner():
            os.waitpid(os.posix_spawn(path, [path], {}), 0)  # nothing may be written while it runs
            return 0
        return w.in_child(inner, uid, gid, groups)

    w.same(start("./script", BOB, OTHERS, []), 0, "a script")
    for mode in (0o755, 0o711, 0o644, 0o100, 0o010, 0o001, 0o677, 0o767, 0o776, 0o666, 0o111):
        os.chmod("program", mode)
        for uid, gid, groups in ((0, 0, []), (ANN, OTHERS, []), (BOB, TEAM, []), (BOB, OTHERS, [TEAM]), (BOB, OTHERS, [])):
            shift = 6 if uid == ANN else 3 if TEAM in (gid, *groups) else 0
            allowed = mode & 0o111 if uid == 0 else mode >> shift & 1
            w.same(start("./program", uid, gid, groups), 0 if allowed else "EACCES",
                   f"running with mode {mode:o} as {uid}, {gid}, {groups}")
    w.fails(errno.EACCES, os.posix_spawn, ".", ["."], {})
    writer = os.open("program", os.O_WRONLY)
    os.chmod("program", 0o755)
    w.fails(errno.ETXTBSY, os.posix_spawn, "./program", ["program"], {})
    os.close(writer)


@case
def set_user_id_programs(w):
    """The program runs with the owner's id, unless a chown took the bit."""
    with open("/bin/sleep", "rb") as file:
        w.write("program", file.read(), owner=(ANN, TEAM))

    def ids(path):
        def inner():
            child = os.posix_spawn(path, [path, "5"], {})
            for _ in range(1000):
                with open(f"/proc/{child}/status") as status:
                    text = status.read()
                if "Name:\tprogram" in text:
                    break
            os.kill(child, 9)
            words = {line.split(":")[0]: line.split() for line in text.splitlines()}
            return words["Uid"][2], words["Gid"][2]
        return inner

    os.chmod("program", 0o6755)
    with open("/proc/self/mountinfo") as mounts:
        nosuid = any(line.split()[4] == w.base and "nosuid" in line for line in mounts)
    w.same(w.in_child(ids("./program"), 0, 0), ("0", "0") if nosuid else (str(ANN), str(TEAM)), "effective ids")
