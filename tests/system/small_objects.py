# SPDX-License-Identifier: Apache-2.0
"""Goal: `up --objects lmdb` keeps small files in the indexes of the object servers: real work, kill -9, files that are too
large for it, and a check of everything.
"""
import errno
import os

from cluster import cluster, expect, need_fuse, rideau, run, step

MIB = 1 << 20

need_fuse()
with cluster(oss=2, options=["--objects", "lmdb"]) as made:
    step("small files are written, read, changed")
    run("cp", "-a", "/usr/include/linux", made.mount + "/linux")
    run("diff", "-r", "/usr/include/linux", made.mount + "/linux")
    data = bytearray(os.urandom(MIB + 5000))
    with open(made.mount + "/file", "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    with open(made.mount + "/file", "r+b") as file:
        file.seek(100_001)
        file.write(b"changed")
        file.truncate(MIB + 77)
        os.fsync(file.fileno())
    data[100_001:100_008] = b"changed"
    data = bytes(data[:MIB + 77])
    step("a file that is too large is told so")
    # Two object servers with objects of a MiB: 2 MiB fit.
    descriptor = os.open(made.mount + "/large", os.O_RDWR | os.O_CREAT)
    told = None
    try:
        while told is None:
            os.write(descriptor, bytes(MIB))
            os.fsync(descriptor)
    except OSError as error:
        told = error.errno
    expect(told == errno.EFBIG, f"errno {told}")
    os.close(descriptor)
    expect(os.stat(made.mount + "/large").st_size == 2 * MIB, "what fits is there")
    step("kill -9 of both object servers, read by another client")
    rideau("sync", made.mount)
    made.kill("oss0", "oss1")
    made.up()
    point = made.mount_another("again")
    run("diff", "-r", "/usr/include/linux", point + "/linux")
    with open(point + "/file", "rb") as file:
        expect(file.read() == data, "other bytes")
    rideau("umount", point)
    run("rm", "-rf", made.mount + "/linux")
    rideau("sync", made.mount)
    made.down()
    made.check()
    for node in ("oss0", "oss1"):
        expect(sorted(os.listdir(f"{made.folder}/{node}")) == ["index"], f"{node} has more than its index")
print("small files live in the index")
