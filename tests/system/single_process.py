# SPDX-License-Identifier: Apache-2.0
"""Goal: `rideau up --single-process` is a whole file system in one small process: mounted, told about, stopped, killed and started
anew without loss; and what cannot be with it is refused."""
import os
import subprocess
import time

from cluster import RIDEAU, SANITIZER, await_end, cluster, expect, need_fuse, rideau, run, step

RESIDENT_MAX = 64 << 20


def resident(process):
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS:"))


def up(made, *options):
    began = time.monotonic()
    made.up(timeout=60)
    seconds = time.monotonic() - began
    expect(made.nodes() == ["all0"], f"nodes: {made.nodes()}")
    bytes_used = resident(made.process("all0"))
    step(f"mounted and ready after {seconds:.2f} s, {bytes_used / (1 << 20):.1f} MiB resident")
    expect(SANITIZER or bytes_used < RESIDENT_MAX, f"{bytes_used} bytes resident")


def write(made, name, text):
    with open(f"{made.mount}/{name}", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def content(made, name):
    with open(f"{made.mount}/{name}") as file:
        return file.read()


need_fuse()
step("inproc is for one process")
done = run(RIDEAU, "up", "--dir", "/nowhere", "--transport", "inproc", check=False)
expect(done.returncode == 2 and "--single-process" in done.stdout, f"{done.returncode}: {done.stdout}")

with cluster(options=["--single-process"], start=False) as made:
    up(made)
    step("work")
    run("cp", "-a", "/usr/include/linux", made.mount + "/linux")
    run("diff", "-r", "--no-dereference", "/usr/include/linux", made.mount + "/linux")
    with open(made.mount + "/large", "wb") as file:
        for number in range(64):
            file.write(bytes([number]) * (1 << 20))
    with open(made.mount + "/large", "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for number in range(64):
            expect(file.read(1 << 20) == bytes([number]) * (1 << 20), f"MiB {number} is not what was written")
    write(made, "kept", "before")
    rideau("sync", made.mount)

    step("status, stats; nobody else can mount it")
    told = rideau("status", "--config", made.config).stdout
    expect(told.count(" up ") == 4 and made.mount in told, told)
    expect("rideau_resumes" in rideau("stats", "--config", made.config).stdout, "no figures")
    os.mkdir(made.folder + "/other")
    other = rideau("mount", "--config", made.config, made.folder + "/other", check=False)
    expect(other.returncode == 1 and "nobody in this process listens there" in other.stdout, other.stdout)

    step("kill -9 and up again")
    made.kill("all0")
    told = rideau("status", "--config", made.config, check=False)
    gone = ("all0 does not run", "all0 ended before it had answered")     # its socket may close a moment after it
    expect(told.returncode == 1 and any(words in told.stdout for words in gone), told.stdout)
    up(made)
    expect(content(made, "kept") == "before", "what was durable is lost")
    expect(not os.path.ismount(made.folder + "/other"), "there are two mounts")
    made.up()       # all is there

    step("a file that is open keeps it up")
    with open(made.mount + "/kept") as file:
        busy = rideau("down", "--dir", made.folder, check=False)
        expect(busy.returncode == 1, f"{busy.returncode}: {busy.stdout}")
        expect(file.read() == "before", "the file went away")
    write(made, "kept", "after")

    step("unmounting ends it")
    process = made.process("all0")
    rideau("umount", made.mount)
    await_end(process)
    up(made)
    expect(content(made, "kept") == "after", "what was written before the end is lost")
    made.down()
    made.check()

    step("without a mount, then with one")
    rideau("up", "--dir", made.folder, "--no-mount")
    refused = made.up(check=False)
    expect(refused.returncode == 1 and "rideau down" in refused.stdout, refused.stdout)
    made.down()
    up(made)
    expect(content(made, "kept") == "after", "lost")
    made.down()
    made.check()

with cluster(oss=1, options=["--single-process", "--transport", "tcp"], start=False) as made:
    step("all roles in one process over TCP: others can mount it too")
    up(made)
    other = made.mount_another("other")
    write(made, "seen", "by all")
    with open(other + "/seen") as file:
        expect(file.read() == "by all", "the other mount sees something else")
    subprocess.run(["umount", other], check=True)
    made.down()
    made.check()
print("a file system in one process works")
