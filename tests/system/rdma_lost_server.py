# SPDX-License-Identifier: Apache-2.0
"""Goal: an object server that is killed in the middle of a copy over RDMA, with memory of the client in its hands, holds up
nobody: the copy ends (with EIO where changes were lost), and what begins once the server is back succeeds.

usage: rdma_lost_server.py BUILD
"""
import os
import subprocess
import time

from cluster import PATIENCE, cluster, expect, need_fuse, rideau, run, step


need_fuse()
step("a copy, with oss0 killed in the middle of it")
with cluster(options=["--transport", "rdma"]) as made:
    source = made.folder + "/source"
    with open(source, "wb") as file:
        file.write(os.urandom(48 << 20))
    target = made.mount + "/copy"
    copy = subprocess.Popen(["dd", "if=" + source, "of=" + target, "bs=64k", "conv=fsync", "status=none"], stderr=subprocess.DEVNULL)
    while not os.path.exists(target) or os.stat(target).st_size < 4 << 20:
        expect(copy.poll() is None, "the copy ended before the server was killed")
        time.sleep(0.005)
    made.kill("oss0")
    time.sleep(1)
    made.serve("oss0")
    status = copy.wait(timeout=120 * PATIENCE)
    step(f"the copy ended with status {status}; another one")
    second = made.mount + "/second"
    run("cp", source, second)
    descriptor = os.open(second, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    run("cmp", source, second)
    rideau("sync", made.mount)
    made.down()
    made.check()
print("a lost server held up nobody")
