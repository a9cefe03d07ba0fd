# SPDX-License-Identifier: Apache-2.0
"""truncate and ftruncate: errors, sizes, times. (ftruncate.py has what only a descriptor can show.)"""
import errno
import os

from paths import path_errors
from world import ANN, BAD_ADDRESS, BOB, OTHERS, TEAM, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.truncate(path, 0))
    w.fails(errno.EFAULT, c_call, "truncate", BAD_ADDRESS, 0)


@case
def sizes_and_times(w):
    w.write("file", b"0123456789")
    for size in (10, 3, 3, 0, 0, 7, 70000, 65536, 1, 0):
        with w.times(changed_mc="file"):
            w.ok(os.truncate, "file", size)
        w.same(os.stat("file").st_size, size, "size")
    w.write("file", b"0123456789")
    os.truncate("file", 4)
    os.truncate("file", 8)
    with open("file", "rb") as file:
        w.same(file.read(), b"0123\0\0\0\0", "what was cut comes back as zeros")


@case
def write_permission(w):
    for mode, uid, gid, groups, allowed in ((0o200, ANN, OTHERS, [], True), (0o577, ANN, OTHERS, [], False),
                                            (0o020, BOB, TEAM, [], True), (0o020, BOB, OTHERS, [TEAM], True),
                                            (0o757, BOB, OTHERS, [TEAM], False), (0o002, BOB, OTHERS, [], True),
                                            (0o775, BOB, OTHERS, [], False), (0o000, 0, 0, [], True)):
        w.write("file", b"text", mode, (ANN, TEAM))
        with w.times(**{"changed_mc" if allowed else "same": "file"}), w.user(uid, gid, groups):
            w.fails(0 if allowed else errno.EACCES, os.truncate, "file", 2)
        w.same(os.stat("file").st_size, 2 if allowed else 4, "size")
        os.unlink("file")


@case
def what_has_no_size(w):
    w.fails(errno.EISDIR, os.truncate, w.folder("folder"), 0)
    w.fails(errno.EISDIR, os.truncate, ".", 0)
    for kind in ("fifo", "socket", "character", "block"):
        w.fails(errno.EINVAL, os.truncate, w.make(kind, kind), 0)
    w.write("file")
    w.fails(errno.EINVAL, os.truncate, "file", -1)
    w.fails((errno.EFBIG, errno.EINVAL, 0), os.truncate, "file", (1 << 63) - 1)


@case
def a_running_program(w):
    with open("/bin/sleep", "rb") as file:
        w.write("program", file.read(), 0o755)
    child = os.posix_spawn("./program", ["program", "30"], {})
    try:
        w.fails(errno.ETXTBSY, os.truncate, "program", 0)
        w.fails(errno.ETXTBSY, os.open, "program", os.O_WRONLY)
        w.fails(errno.ETXTBSY, os.open, "program", os.O_RDWR | os.O_TRUNC)
        w.ok(lambda: os.close(os.open("program", os.O_RDONLY)))
        w.true(os.stat("program").st_size > 1000, "the program is whole")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    w.ok(os.truncate, "program", 0)
