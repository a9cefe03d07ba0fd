# SPDX-License-Identifier: Apache-2.0
"""name_to_handle_at and open_by_handle_at, which NFS servers and backup programs use: the same file, or ESTALE (S33)."""
import ctypes
import errno
import os

from world import AT_FDCWD, ANN, c_call, case

HANDLE_BYTES_MAX = 128


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_ubyte * HANDLE_BYTES_MAX)]


def handle_of(path):
    handle, mount = FileHandle(bytes=HANDLE_BYTES_MAX), ctypes.c_int()
    c_call("name_to_handle_at", AT_FDCWD, path, ctypes.byref(handle), ctypes.byref(mount), 0)
    return handle


def opened(handle, flags=os.O_RDONLY):
    root = os.open(".", os.O_RDONLY)
    try:
        return c_call("open_by_handle_at", root, ctypes.byref(handle), flags)
    finally:
        os.close(root)


def opens(handle, flags=os.O_RDONLY):
    os.close(opened(handle, flags))


@case
def the_same_file(w):
    os.makedirs("a/b/c")
    w.write("a/b/c/file", b"text")
    for path in ("a/b/c/file", "a", "a/b/c", "."):
        file = opened(handle_of(path))
        w.same(os.fstat(file).st_ino, os.stat(path).st_ino, f"inode of {path}")
        os.close(file)
    handle = handle_of("a/b/c/file")
    os.rename("a/b/c/file", "a/moved")
    os.rmdir("a/b/c")
    file = opened(handle, os.O_RDWR)
    w.same(os.pread(file, 10, 0), b"text", "bytes after a rename")
    w.same(os.pwrite(file, b"T", 0), 1, "write")
    os.close(file)
    with open("a/moved", "rb") as again:
        w.same(again.read(), b"Text", "bytes by name")


@case
def never_another_file(w):
    handles = []
    for number in range(20):
        w.write(f"old{number}", b"old")
        handles.append(handle_of(f"old{number}"))
    open_one = os.open("old0", os.O_RDONLY)
    for number in range(20):
        os.unlink(f"old{number}")
    for number in range(300):
        w.write(f"new{number}", b"new")
    w.ok(opens, handles[0])  # it lives as long as it is open
    os.close(open_one)
    for handle in handles[1:]:
        w.fails(errno.ESTALE, opens, handle)
    os.mkdir("folder")
    handle = handle_of("folder")
    os.rmdir("folder")
    os.mkdir("folder")
    w.fails(errno.ESTALE, opens, handle)


@case
def for_the_privileged(w):
    w.write("file", b"text")
    handle = handle_of("file")
    with w.user(ANN):
        w.fails(errno.EPERM, opens, handle)
