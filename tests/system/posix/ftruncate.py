# SPDX-License-Identifier: Apache-2.0
"""ftruncate."""
import errno
import os

from world import ANN, BOB, OTHERS, TEAM, case


@case
def sizes_and_times(w):
    file = os.open("file", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(file, b"0123456789")
    for size in (10, 3, 3, 0, 0, 7, 70000, 65536, 1, 0):
        with w.times(changed_mc="file"):
            w.ok(os.ftruncate, file, size)
        w.same((os.stat("file").st_size, os.fstat(file).st_size), (size, size), "size")
    w.fails(errno.EINVAL, os.ftruncate, file, -1)
    os.close(file)


@case
def the_descriptor_decides(w):
    """What mattered was the mode when the file was opened."""
    w.write("file", b"text", 0o600, (ANN, TEAM))
    with w.user(ANN, OTHERS):
        writer = os.open("file", os.O_RDWR)
        reader = os.open("file", os.O_RDONLY)
    os.chmod("file", 0)
    with w.user(ANN, OTHERS):
        w.ok(os.ftruncate, writer, 3)
        w.fails(errno.EINVAL, os.ftruncate, reader, 2)
    with w.user(BOB, OTHERS):
        w.ok(os.ftruncate, writer, 2)
    w.same(os.stat("file").st_size, 2, "size")
    os.unlink("file")
    w.ok(os.ftruncate, writer, 100)
    w.same(os.fstat(writer).st_size, 100, "size of an unlinked file")
    os.close(writer)
    os.close(reader)


@case
def the_mode_that_it_was_made_with_does_not_matter(w):
    os.chmod(".", 0o777)
    with w.user(ANN, OTHERS):
        file = os.open("file", os.O_CREAT | os.O_RDWR, 0)
        w.ok(os.ftruncate, file, 5)
        w.same(os.pwrite(file, b"xy", 0), 2, "write")
        w.fails(errno.EACCES, os.truncate, "file", 1)
        w.fails(errno.EACCES, os.open, "file", os.O_RDONLY)
    os.close(file)


@case
def not_a_file(w):
    read_end, write_end = os.pipe()
    w.fails(errno.EINVAL, os.ftruncate, write_end, 0)
    os.close(read_end)
    os.close(write_end)
    os.mkdir("folder")
    folder = os.open("folder", os.O_RDONLY | os.O_DIRECTORY)
    w.fails(errno.EINVAL, os.ftruncate, folder, 0)
    os.close(folder)
    os.mkfifo("fifo")
    fifo = os.open("fifo", os.O_RDWR)
    w.fails(errno.EINVAL, os.ftruncate, fifo, 0)
    os.close(fifo)
