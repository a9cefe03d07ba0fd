# SPDX-License-Identifier: Apache-2.0
"""Who may do what, call by call, for every kind of caller: the same whether the kernel decides by mode bits or the
client and the metadata server do. Names that somebody else has brought into the caches make no difference (S32)."""
import errno
import os
import socket

from world import ANN, BOB, OTHERS, TEAM, THIRD, case, renameat2, RENAME_EXCHANGE, utimensat

# uid, gid, groups: root, the owner, members of the group by the first and by another group, a stranger.
CALLERS = ((0, 0, ()), (ANN, OTHERS, ()), (BOB, TEAM, ()), (BOB, OTHERS, (THIRD, TEAM)), (BOB, OTHERS, (THIRD,)))


def rights(mode, uid, groups, owner=ANN, group=TEAM):
    """What the mode gives to a caller: a number of 4 (read), 2 (write), 1 (execute)."""
    if uid == 0:
        return 7
    return mode >> (6 if uid == owner else 3 if group in groups else 0) & 7


def opens(path, flags):
    os.close(os.open(path, flags))


@case
def nothing_through_a_closed_directory(w):
    """Root looks at everything first, so that every cache knows every name; then the others come."""
    calls = {
        "stat": os.lstat, "open": lambda path: opens(path, os.O_RDONLY), "path": lambda path: opens(path, os.O_PATH),
        "write": lambda path: opens(path, os.O_WRONLY), "chmod": lambda path: os.chmod(path, 0o777),
        "list": os.listdir, "unlink": os.unlink, "rename": lambda path: os.rename(path, path + "-moved"),
        "truncate": lambda path: os.truncate(path, 0), "xattr": lambda path: os.getxattr(path, "user.a"),
        "create": lambda path: opens(path + "-new", os.O_CREAT | os.O_WRONLY), "mkdir": lambda path: os.mkdir(path + "-new"),
        "utimes": lambda path: utimensat(path, None, None), "link": lambda path: os.link(path, "second"),
        "readlink": os.readlink, "missing": lambda path: os.lstat(path + "-missing"), "statfs": os.statvfs,
        "exec": lambda path: os.posix_spawn(path, [path], {}),
        "access": lambda path: os.access(path, os.F_OK, effective_ids=True) or refuse(),
    }

    def refuse():
        raise PermissionError(errno.EACCES, "access")

    os.chmod(".", 0o777)
    for mode in (0o700, 0o710, 0o750, 0o701, 0o706, 0o600, 0o066, 0o070, 0o007, 0o677):
        w.folder("closed", 0o777, (ANN, TEAM))
        for name in ("closed/inner", "closed/inner/deep"):
            w.folder(name, 0o777, (ANN, TEAM))
        for name in ("closed/file", "closed/inner/file", "closed/inner/deep/file"):
            w.write(name, b"secret", 0o777, (ANN, TEAM))
        os.chmod("closed", mode)
        paths = ["closed/file", "closed/inner", "closed/inner/file", "closed/inner/deep/file"]
        for warm_by in (0, ANN):
            with w.user(warm_by, TEAM):
                for path in paths:
                    w.outcome(os.lstat, path)
                    w.outcome(os.listdir, path)
                    w.outcome(opens, path, os.O_RDONLY)
                    w.outcome(os.lstat, path + "-missing")
        for uid, gid, groups in CALLERS:
            if rights(mode, uid, (gid, *groups)) & 1:
                with w.user(uid, gid, groups):
                    for path in paths:
                        w.ok(os.lstat, path)
                continue
            with w.user(uid, gid, groups):
                for path in paths:
                    for call in calls.values():
                        w.fails(errno.EACCES, call, path)
                w.fails(errno.EACCES, os.chdir, "closed")
        with w.user(0, 0):
            for path in paths:  # nothing was changed by those who were refused
                w.ok(os.lstat, path)
        os.chmod("closed", 0o777)
        os.system("rm -rf closed")


@case
def closing_a_directory_takes_effect_at_once(w):
    w.folder("folder", 0o755, (ANN, TEAM))
    w.write("folder/file", b"text", 0o644)
    w.folder("folder/inner", 0o755)
    w.write("folder/inner/file", b"text", 0o644)
    for _ in range(3):
        with w.user(BOB):
            w.ok(os.stat, "folder/file")
            w.ok(os.stat, "folder/inner/file")
            w.fails(errno.ENOENT, os.stat, "folder/missing")
        os.chmod("folder", 0o700)
        with w.user(BOB):
            w.fails(errno.EACCES, os.stat, "folder/file")
            w.fails(errno.EACCES, os.stat, "folder/inner/file")
            w.fails(errno.EACCES, os.stat, "folder/missing")
            w.fails(errno.EACCES, opens, "folder/inner/file", os.O_RDONLY)
        with w.user(ANN):
            w.ok(os.stat, "folder/inner/file")
        os.chmod("folder", 0o711)
        with w.user(BOB):
            w.ok(os.stat, "folder/inner/file")
            w.fails(errno.EACCES, os.listdir, "folder")
        os.chmod("folder", 0o755)
    os.chmod("folder", 0o750)
    with w.user(BOB, OTHERS, [TEAM]):
        w.ok(os.stat, "folder/file")
    os.chown("folder", ANN, OTHERS)
    with w.user(BOB, THIRD, [TEAM]):
        w.fails(errno.EACCES, os.stat, "folder/file")
    with w.user(BOB, OTHERS):
        w.ok(os.stat, "folder/file")
    os.chown("folder", BOB, TEAM)
    with w.user(BOB, OTHERS):
        w.ok(os.stat, "folder/file")
    with w.user(ANN, OTHERS):
        w.fails(errno.EACCES, os.stat, "folder/file")


@case
def moving_into_a_closed_directory_takes_effect_at_once(w):
    w.folder("open", 0o777)
    w.folder("closed", 0o700)
    w.folder("open/tree", 0o755)
    w.write("open/tree/file", b"text", 0o644)
    w.write("open/file", b"text", 0o644)
    with w.user(BOB):
        w.ok(os.stat, "open/tree/file")
        w.ok(os.stat, "open/file")
    os.rename("open/tree", "closed/tree")
    os.rename("open/file", "closed/file")
    with w.user(BOB):
        for path in ("closed/tree", "closed/tree/file", "closed/file"):
            w.fails(errno.EACCES, os.stat, path)
            w.fails(errno.EACCES, opens, path, os.O_RDONLY)
    w.write("open/other", b"text", 0o644)
    with w.user(BOB):
        w.ok(os.stat, "open/other")
    renameat2("open/other", "closed/file", RENAME_EXCHANGE)
    with w.user(BOB):
        w.ok(os.stat, "open/other")
        w.fails(errno.EACCES, os.stat, "closed/file")


@case
def a_descriptor_or_working_directory_stays(w):
    """Whoever is in already stays in: only the way there is closed."""
    w.folder("folder", 0o755, (ANN, TEAM))
    w.folder("folder/inner", 0o755)
    w.write("folder/inner/file", b"text", 0o644)
    here = os.getcwd()
    with w.user(BOB):
        os.chdir("folder/inner")
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.chmod(f"{here}/folder", 0o700)
    with w.user(BOB):
        w.ok(os.stat, "file")
        w.ok(os.listdir, folder)
        w.ok(lambda: os.close(os.open("file", os.O_RDONLY, dir_fd=folder)))
        w.fails(errno.EACCES, os.stat, "../inner")
        w.fails(errno.EACCES, os.stat, f"{here}/folder/inner")
    os.close(folder)
    os.chdir(here)


@case
def access_uses_the_real_ids(w):
    w.write("file", owner=(ANN, TEAM))
    w.folder("folder", owner=(ANN, TEAM))
    for path in ("file", "folder"):
        for mode in (0o000, 0o111, 0o400, 0o240, 0o124, 0o751, 0o070, 0o007, 0o666):
            os.chmod(path, mode)
            for uid, gid, groups in CALLERS:
                have = rights(mode, uid, (gid, *groups))
                if uid == 0 and path == "file" and not mode & 0o111:
                    have &= ~1
                asked = range(8)
                found = w.in_child(lambda: [os.access(path, want) for want in asked], uid, gid, groups)
                w.same(found, [have & want == want for want in asked], f"access to {path} {mode:o} by {uid} {gid} {groups}")
                with w.user(uid, gid, groups):
                    found = [os.access(path, want, effective_ids=True) for want in asked]
                w.same(found, [have & want == want for want in asked], f"eaccess to {path} {mode:o} by {uid} {gid} {groups}")


@case
def working_directories(w):
    w.folder("folder", owner=(ANN, TEAM))
    here = os.getcwd()
    for mode in (0o000, 0o666, 0o100, 0o010, 0o001, 0o677, 0o767, 0o776, 0o755):
        os.chmod("folder", mode)
        for uid, gid, groups in CALLERS:
            with w.user(uid, gid, groups):
                w.fails(0 if rights(mode, uid, (gid, *groups)) & 1 else errno.EACCES, os.chdir, "folder")
                os.chdir(here)


@case
def changing_a_directory(w):
    """What needs write and search permission of the directory, for each kind of caller."""
    makers = (lambda path: opens(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), os.mkdir, os.mkfifo,
              lambda path: os.symlink("x", path), lambda path: os.rename("folder/old", path),
              lambda path: os.link("folder/old", path))
    for mode in (0o777, 0o555, 0o333, 0o666, 0o300, 0o030, 0o003, 0o755, 0o775, 0o070, 0o007):
        for uid, gid, groups in CALLERS:
            w.folder("folder", 0o777, (ANN, TEAM))
            w.write("folder/old", mode=0o666, owner=(uid, gid))
            os.chmod("folder", mode)
            have = rights(mode, uid, (gid, *groups))
            for number, make in enumerate(makers):
                with w.user(uid, gid, groups):
                    made = w.fails(0 if have & 3 == 3 else errno.EACCES, make, f"folder/n{number}") == 0
                    if made and number == 4:
                        os.rename(f"folder/n{number}", "folder/old")
            with w.user(uid, gid, groups):
                w.fails(0 if have & 3 == 3 else errno.EACCES, os.unlink, "folder/old")
                w.fails(0 if have & 4 else errno.EACCES, os.listdir, "folder")
            os.system("rm -rf folder")


@case
def fifos_and_sockets(w):
    os.mkfifo("fifo")
    os.chown("fifo", ANN, TEAM)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind("socket")
    os.chown("socket", ANN, TEAM)

    def send():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", "socket")
        server.recv(10)

    def connect():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect("socket")

    for mode in (0o000, 0o600, 0o400, 0o200, 0o060, 0o040, 0o020, 0o006, 0o004, 0o002, 0o666, 0o477, 0o747, 0o774, 0o622):
        for path in ("fifo", "socket"):
            os.chmod(path, mode)
            w.ok(os.lstat, path)
        for uid, gid, groups in CALLERS:
            have = rights(mode, uid, (gid, *groups))
            with w.user(uid, gid, groups):
                w.fails(0 if have & 4 else errno.EACCES, opens, "fifo", os.O_RDONLY | os.O_NONBLOCK)
                w.fails(0 if have & 6 == 6 else errno.EACCES, opens, "fifo", os.O_RDWR | os.O_NONBLOCK)
                w.fails(errno.ENXIO if have & 2 else errno.EACCES, opens, "fifo", os.O_WRONLY | os.O_NONBLOCK)
                w.fails(0 if have & 2 else errno.EACCES, connect)
                w.fails(0 if have & 2 else errno.EACCES, send)
                for path in ("fifo", "socket"):  # looking is free
                    w.ok(os.lstat, path)
                    w.fails(errno.EEXIST, os.mkdir, path)
                    w.fails(0 if uid in (0, ANN) else errno.EPERM, os.chmod, path, mode)
    server.close()
