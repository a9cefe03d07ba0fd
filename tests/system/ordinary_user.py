# SPDX-License-Identifier: Apache-2.0
"""Goal: an ordinary user starts and mounts a cluster of his own through fusermount3, or is told what is missing."""
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

from cluster import RIDEAU, expect, need_fuse, step

need_fuse()
if os.geteuid() != 0:
    print("skipped: only root can become somebody else")
    sys.exit(77)
nobody = pwd.getpwnam("nobody")
folder = tempfile.mkdtemp(prefix="rideau-user-")
os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def as_nobody(*words, path="/usr/bin:/bin:/usr/sbin:/sbin"):
    return subprocess.run(words, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd=folder,
                          env={"PATH": path, "HOME": folder}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, check=False)


try:
    reachable = as_nobody(RIDEAU, "version")
    if reachable.returncode != 0:
        print("skipped: an ordinary user may not reach the program in this build folder")
        sys.exit(77)
except PermissionError:
    print("skipped: an ordinary user may not reach the program in this build folder")
    sys.exit(77)
try:
    step("without fusermount3 in the path the client says what is missing")
    poor = as_nobody(RIDEAU, "up", "--dir", folder + "/cluster", path="/nonexistent")
    expect(poor.returncode == 1 and "fuse3" in poor.stdout, f"{poor.returncode}: {poor.stdout}")
    step("with it, the cluster is mounted")
    rich = as_nobody(RIDEAU, "up", "--dir", folder + "/cluster")
    device_open = os.access("/dev/fuse", os.W_OK) and os.stat("/dev/fuse").st_mode & 0o006 == 0o006
    if device_open:
        expect(rich.returncode == 0, rich.stdout)
        done = as_nobody("sh", "-c", "echo mine > cluster/mnt/file && cat cluster/mnt/file && ls -ln cluster/mnt/file")
        expect(done.returncode == 0 and "mine" in done.stdout and f" {nobody.pw_uid} " in done.stdout, done.stdout)
    else:
        expect(rich.returncode == 1 and "/dev/fuse" in rich.stdout, rich.stdout)
    as_nobody(RIDEAU, "down", "--dir", folder + "/cluster")
finally:
    subprocess.run(["umount", "-l", folder + "/cluster/mnt"], stderr=subprocess.DEVNULL, check=False)
    as_nobody(RIDEAU, "down", "--dir", folder + "/cluster")
    shutil.rmtree(folder, ignore_errors=True)
print("an ordinary user is served")
