# SPDX-License-Identifier: Apache-2.0
"""Goal: nothing of a file that is gone is kept or written any more; of one that somebody has open everything is."""
import os
import time

from cluster import cluster, expect, need_fuse, rideau, step
from counted import Counted, dirty_for_long

KIB = 1 << 10
MIB = 1 << 20
FILES = 20


def write(path, size):
    with open(path, "wb", buffering=0) as file:
        file.write(os.urandom(size))


def cached(made):
    return Counted(made).total("client", "rideau_client_cache_bytes")


def gone(made, remove):
    """Files that were written and closed, and not sent to their servers yet."""
    for number in range(FILES):
        write(f"{made.mount}/{number}", 256 * KIB)
    time.sleep(0.1)  # their closes have arrived
    expect(cached(made) >= FILES * 256 * KIB, "nothing is cached")
    before = Counted(made)
    for number in range(FILES):
        remove(f"{made.mount}/{number}")
    rideau("sync", made.mount)
    return Counted(made).since(before, "client", "rideau_client_calls_total", "write")


def main():
    need_fuse()
    with cluster() as made:
        made.down()
        dirty_for_long(made)
        made.up()
        step("removed before it was sent")
        write(made.mount + "/first", 256 * KIB)  # brings a grant
        rideau("sync", made.mount)
        os.unlink(made.mount + "/first")
        calls = gone(made, os.unlink)
        expect(calls == 0, f"{calls} writes of files that were removed")
        expect(cached(made) < 256 * KIB, f"{cached(made)} bytes are cached")

        step("replaced before it was sent")
        def replace(path):
            os.close(os.open(path + ".new", os.O_CREAT | os.O_WRONLY))
            os.rename(path + ".new", path)
        calls = gone(made, replace)
        expect(calls == 0, f"{calls} writes of files that were replaced")
        expect(cached(made) < 256 * KIB, f"{cached(made)} bytes are cached")

        step("large, written, and removed")
        write(made.mount + "/large", 64 * MIB)
        time.sleep(0.1)
        expect(cached(made) >= 32 * MIB, "nothing is cached")
        os.unlink(made.mount + "/large")
        expect(cached(made) < 8 * MIB, f"{cached(made)} bytes are cached")

        step("removed while it is open, here and there")
        other = made.mount_another("other")
        data = os.urandom(3 * MIB)
        with open(made.mount + "/open", "wb+", buffering=0) as here:
            here.write(data)
            with open(other + "/open", "rb") as there:
                os.unlink(made.mount + "/open")
                expect(there.read() == data, "the other mount reads something else")
                here.seek(0)
                expect(here.read() == data, "it reads something else")
        made.down()
        made.check()


main()
