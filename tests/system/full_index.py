# SPDX-License-Identifier: Apache-2.0
"""Goal: an object server whose index has no room for one more record. Files grow, are cut and made durable all the same, what a
call told is what the file is, also after a kill -9, and everything can be removed."""
import json
import os
import time

from cluster import PATIENCE, cluster, expect, need_fuse, rideau, step

GROWN, CUT = 10_000, 6_000      # too large to lie at the metadata server
INDEX_BYTES = 1 << 20
FILES_MAX = 60_000
FILES_BEYOND = 100


def index_bytes(made, node):
    """Of the file; it grows by what is put into it until only removals may use the rest."""
    return sum(os.stat(os.path.join(at, name)).st_size for at, _, names in os.walk(f"{made.folder}/{node}/index")
               for name in names if "lock" not in name)


def make_files(folder, first, count):
    """Each takes a record for the version of its object: the first change of its size."""
    for number in range(first, first + count):
        descriptor = os.open(f"{folder}/{number}", os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.ftruncate(descriptor, GROWN)
        os.close(descriptor)
    return first + count


def check_sizes(folder, files, cut):
    for number in files:
        wanted = CUT if number in cut else GROWN
        found = os.stat(f"{folder}/{number}").st_size
        expect(found == wanted, f"file {number}: {found} bytes instead of {wanted}")


def await_servers(made):
    until = time.monotonic() + 60 * PATIENCE
    while json.loads(rideau("status", "--config", made.config, "--json", check=False).stdout)["healthy"] is not True:
        expect(time.monotonic() < until, "the servers do not come back")
        time.sleep(0.1)


def main():
    with cluster(oss=1) as made:
        made.down()
        with open(made.config) as file:
            text = file.read()
        changed = text.replace("[node.oss0]\n", '[node.oss0]\nindex = { plugin = "lmdb", map_size = "1 MiB" }\n')
        expect(changed != text, "the configuration has no oss0")
        with open(made.config, "w") as file:
            file.write(changed)
        made.up()
        folder = made.mount + "/many"
        os.mkdir(folder)
        step("files until the index of oss0 is full")
        files, sizes = 0, [0]
        while len(sizes) < 3 or sizes[-3] != sizes[-1]:
            expect(files < FILES_MAX, f"the index is not full after {files} files: {sizes[-1]} bytes")
            files = make_files(folder, files, 1_000)
            sizes.append(index_bytes(made, "oss0"))
        expect(sizes[-1] > INDEX_BYTES / 2, f"the index grows no more at {sizes[-1]} bytes")
        print(f"   {files} files, {sizes[-1]} bytes", flush=True)
        step("more of them, and cuts of objects with a record and without one")
        full_at, files = files, make_files(folder, files, FILES_BEYOND)
        cut = {*range(0, full_at, full_at // 50), *range(full_at, files, 3)}
        looked_at = cut | set(range(full_at, files))
        for number in cut:
            descriptor = os.open(f"{folder}/{number}", os.O_RDWR)
            os.pwrite(descriptor, b"x" * 8000, 0)
            os.ftruncate(descriptor, CUT)
            os.fsync(descriptor)
            os.close(descriptor)
        check_sizes(folder, looked_at, cut)
        step("kill -9 of oss0, and another mount looks")
        made.kill("oss0")
        made.serve("oss0")
        await_servers(made)
        other = made.mount_another("second")
        check_sizes(other + "/many", looked_at, cut)
        for number in cut:
            with open(f"{other}/many/{number}", "rb") as file:
                expect(file.read() == b"x" * CUT, f"file {number}: other bytes")
        step("everything is removed")
        for number in range(files):
            os.unlink(f"{folder}/{number}")
        rideau("umount", other)
        made.extra_mounts.clear()
        made.down()
        made.check()
    print("what was told is what the files were")


need_fuse()
main()
