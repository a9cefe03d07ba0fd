# SPDX-License-Identifier: Apache-2.0
"""mkfifo, and that what it makes works."""
import errno
import os
import select

from paths import parent_errors, path_errors
from world import BAD_ADDRESS, KINDS, c_call, case


@case
def errors_of_the_path(w):
    path_errors(w, lambda path: os.mkfifo(path, 0o644), creates=True)
    w.fails(errno.EFAULT, c_call, "mkfifo", BAD_ADDRESS, 0o644)


@case
def errors_of_the_directory(w):
    parent_errors(w, lambda path: os.mkfifo(path, 0o644))


@case
def the_name_exists(w):
    for kind in KINDS:
        w.make(kind, kind)
        with w.times(same=(kind, ".")):
            w.fails(errno.EEXIST, os.mkfifo, kind, 0o644)
    w.fails(errno.EEXIST, os.mkfifo, ".", 0o644)
    w.fails((errno.EEXIST, errno.ENOENT), os.mkfifo, "new/", 0o644)


@case
def bytes_go_through(w):
    os.mkfifo("fifo", 0o600)
    w.fails(errno.ENXIO, os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    reader = os.open("fifo", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open("fifo", os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"through")
    w.same(select.select([reader], [], [], 5)[0], [reader], "readable")
    w.same(os.read(reader, 100), b"through", "what came")
    w.fails(errno.EAGAIN, os.read, reader, 100)
    os.close(writer)
    w.same(os.read(reader, 100), b"", "after the writer has gone")
    os.close(reader)
    w.ok(lambda: os.close(os.open("fifo", os.O_RDWR)))
    w.same(os.stat("fifo").st_size, 0, "size")


@case
def between_processes(w):
    os.mkfifo("fifo", 0o600)
    child = os.fork()
    if child == 0:
        writer = os.open("fifo", os.O_WRONLY)
        os.write(writer, b"from the child")
        os._exit(0)
    reader = os.open("fifo", os.O_RDONLY)
    w.same(os.read(reader, 100), b"from the child", "what came")
    os.close(reader)
    os.waitpid(child, 0)
