# SPDX-License-Identifier: Apache-2.0
"""Goal: O_TMPFILE makes a file without a name, as on a local file system: nobody sees it, it goes with its last descriptor or its
server, and link gives it a name that every mount sees. The same steps pass on the local file system."""
import ctypes
import errno
import os
import tempfile
import time

from cluster import cluster, expect, need_fuse, step


def error_of(call, *arguments, **options):
    try:
        call(*arguments, **options)
        return None
    except OSError as error:
        return errno.errorcode[error.errno]


def name_it(descriptor, path):
    follow = 0x400  # os.link never does
    if ctypes.CDLL(None, use_errno=True).linkat(-100, f"/proc/self/fd/{descriptor}".encode(), -100, path.encode(), follow) != 0:
        raise OSError(ctypes.get_errno(), path)


def steps(folder, other):
    """In a folder, and where the same folder is seen from elsewhere."""
    def nameless(flags=0, mode=0o640):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | flags, mode)

    file = nameless()
    expect(os.write(file, b"nameless") == 8 and os.pread(file, 20, 0) == b"nameless", "its bytes")
    told = os.fstat(file)
    expect((told.st_nlink, told.st_mode & 0o7777, told.st_size) == (0, 0o640, 8), f"its attributes: {told}")
    expect(os.listdir(folder) == [] and os.listdir(other) == [], "it has a name")
    before = os.stat(folder).st_mtime_ns
    os.ftruncate(file, 4)
    name_it(file, f"{folder}/now")
    expect(os.stat(folder).st_mtime_ns != before, "the directory has changed")
    with open(f"{other}/now") as seen:
        expect(seen.read() == "name", "its bytes under its name")
    expect(os.fstat(file).st_nlink == 1, "its links")
    name_it(file, f"{folder}/twice")
    expect(os.stat(f"{other}/now").st_nlink == 2, "its links")
    os.write(file, b"")
    os.close(file)
    os.unlink(f"{other}/now")
    os.unlink(f"{other}/twice")

    file = nameless()
    name_it(file, f"{folder}/gone")
    os.unlink(f"{folder}/gone")
    expect(error_of(name_it, file, f"{folder}/back") == "ENOENT", "what was removed stays removed")
    os.close(file)
    file = nameless(os.O_EXCL)
    expect(error_of(name_it, file, f"{folder}/never") == "ENOENT", "O_EXCL: it never gets a name")
    os.close(file)
    expect(error_of(os.open, folder, os.O_TMPFILE | os.O_RDONLY) == "EINVAL", "read only")
    open(f"{folder}/file", "w").close()
    expect(error_of(os.open, f"{folder}/file", os.O_TMPFILE | os.O_RDWR) == "ENOTDIR", "in a file")
    file = nameless()
    expect(error_of(name_it, file, f"{folder}/file") == "EEXIST", "the name of another")
    os.close(file)
    os.unlink(f"{folder}/file")
    if os.geteuid() == 0:
        os.chmod(folder, 0o755)
        os.seteuid(65102)
        try:
            told = error_of(nameless)
        finally:
            os.seteuid(0)
        expect(told == "EACCES", f"in a directory of somebody else: {told}")
    os.chmod(folder, 0o2777)
    os.chown(folder, -1, 65103)
    file = nameless()
    expect(os.fstat(file).st_gid == 65103, "the group of a set-group-id directory")
    os.close(file)


def inodes(mount, wanted):
    """Inodes in use, which go a moment after the last close."""
    until = time.monotonic() + 30
    while True:
        told = os.statvfs(mount)
        used = told.f_files - told.f_ffree
        if used == wanted or time.monotonic() > until:
            return used
        time.sleep(0.05)


def main():
    need_fuse()
    with tempfile.TemporaryDirectory() as folder:
        step("on the local file system")
        os.chmod(folder, 0o755)
        if error_of(lambda: os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))) is None:
            steps(folder, folder)
    with cluster() as made:
        step("on two mounts")
        other = made.mount_another("second")
        for path in (os.path.dirname(made.folder), made.folder, made.mount):
            os.chmod(path, 0o755)
        os.mkdir(f"{made.mount}/folder")
        told = os.statvfs(made.mount)
        used = told.f_files - told.f_ffree
        steps(f"{made.mount}/folder", f"{other}/folder")
        expect(inodes(made.mount, used) == used, "an inode without a name is left")
        step("kill -9 of the metadata server")
        file = os.open(f"{made.mount}/folder", os.O_TMPFILE | os.O_RDWR)
        kept = os.open(f"{made.mount}/folder", os.O_TMPFILE | os.O_RDWR)
        os.write(file, b"x" * 100_000)
        name_it(kept, f"{made.mount}/folder/kept")
        os.fsync(file)
        os.fsync(kept)
        made.kill("mds0")
        made.serve("mds0")
        expect(os.listdir(f"{made.mount}/folder") == ["kept"], "names after the restart")
        expect(os.pread(file, 10, 0) == b"x" * 10, "what has no name is open still, and has other bytes")
        os.close(file)
        os.close(kept)
        expect(inodes(made.mount, used + 1) == used + 1, "an inode without a name is left")
        made.down()
        made.check()
    print("files without a name are as on a local file system")


main()
