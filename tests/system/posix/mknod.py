# SPDX-License-Identifier: Apache-2.0
"""mknod: every type, its device number, and that devices and sockets work."""
import errno
import os
import socket
import stat

from paths import parent_errors, path_errors
from world import ANN, BAD_ADDRESS, BOB, KINDS, OTHERS, c_call, case

TYPES = {"regular": stat.S_IFREG, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "character": stat.S_IFCHR,
         "block": stat.S_IFBLK}


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.mknod(path, stat.S_IFIFO | 0o644), creates=True)
    path_errors_of_devices(w)
    w.fails(errno.EFAULT, c_call, "mknod", BAD_ADDRESS, stat.S_IFIFO | 0o644, 0)


def path_errors_of_devices(w):
    for kind in ("character", "block"):
        def make(path, of=TYPES[kind]):
            os.mknod(path, of | 0o644, os.makedev(1, 3))
        w.fails(errno.ENOTDIR, make, "no-regular/new")
        w.fails(errno.ENOENT, make, "missing/new")
        w.fails(errno.ENAMETOOLONG, make, "n" * 256)
        w.fails(errno.ELOOP, make, "circle-a/new")


@case
def errors_of_the_directory(w):
    parent_errors(w, lambda path: os.mknod(path, stat.S_IFIFO | 0o644))


@case
def the_name_exists(w):
    for kind in KINDS:
        w.make(kind, kind)
        for of in TYPES.values():
            with w.times(same=(kind, ".")):
                w.fails(errno.EEXIST, os.mknod, kind, of | 0o644, os.makedev(1, 3))


@case
def every_type(w):
    os.chmod(".", 0o777)
    for name, of in TYPES.items():
        for major, minor in ((1, 3), (0, 0), (255, 255), (4095, 0xfffff)):
            with w.times(changed_mc="."):
                w.ok(os.mknod, name, of | 0o640, os.makedev(major, minor))
            found = os.lstat(name)
            w.same(found.st_mode, of | 0o640, f"mode of {name}")
            device = os.makedev(major, minor) if name in ("character", "block") else 0
            w.same(found.st_rdev, device, f"device of {name}")
            w.same((found.st_nlink, found.st_size), (1, 0), f"links and size of {name}")
            os.unlink(name)
        with w.user(ANN, OTHERS):
            allowed = name not in ("character", "block")
            w.fails(0 if allowed else errno.EPERM, os.mknod, name, of | 0o640, os.makedev(1, 3))


@case
def devices_are_root_s(w):
    place = w.folder("place", 0o777)
    with w.times(same=place), w.user(ANN, OTHERS):
        w.fails(errno.EPERM, os.mknod, "place/node", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        w.fails(errno.EPERM, os.mknod, "place/node", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    w.absent("place/node")


@case
def types_that_there_are_not(w):
    w.fails((errno.EPERM, errno.EINVAL), os.mknod, "thing", stat.S_IFDIR | 0o755)
    w.fails(errno.EINVAL, os.mknod, "thing", stat.S_IFLNK | 0o777)
    w.ok(os.mknod, "thing", 0o600)  # no type: a regular file
    w.true(stat.S_ISREG(os.stat("thing").st_mode), "a regular file")


@case
def a_socket_is_spoken_to(w):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind("speak")
    server.listen()
    w.true(stat.S_ISSOCK(os.lstat("speak").st_mode), "a socket")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    w.ok(client.connect, "speak")
    client.sendall(b"hello")
    other, _ = server.accept()
    w.same(other.recv(10), b"hello", "what came")
    os.chmod("speak", 0o600)
    os.chmod(".", 0o777)
    with w.user(BOB), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        w.fails(errno.EACCES, stranger.connect, "speak")
    for end in (server, client, other):
        end.close()
    w.fails(errno.ENXIO, os.open, "speak", os.O_RDONLY)
