# SPDX-License-Identifier: Apache-2.0
"""Goal: an ordinary user starts and mounts a cluster of his own through fusermount3, or is told what is missing."""
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile

from cluster import PATIENCE, RIDEAU, SANITIZER_OPTIONS, expect, expect_no_reports, need_fuse, step

need_fuse()
if os.geteuid() != 0:
    print("skipped: only root can become somebody else")
    sys.exit(77)
if "--inside" not in sys.argv:
    # On a desktop everybody may open /dev/fuse, on many servers nobody may: a device of our own in a mount namespace of
    # our own makes both the same.
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("skipped: no mount namespace of its own can be had here (in a chroot, for example)")
        sys.exit(77)
    os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv, "--inside"])
nobody = pwd.getpwnam("nobody")
folder = tempfile.mkdtemp(prefix="rideau-user-")
os.chown(folder, nobody.pw_uid, nobody.pw_gid)
device = folder + "/fuse-device"
os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(10, 229))
subprocess.run(["mount", "--bind", device, "/dev/fuse"], check=True)


# Somebody else cannot write where the other tests have their reports.
reports = folder + "/reports"
environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder} | dict.fromkeys(SANITIZER_OPTIONS, "log_path=" + reports)


def as_nobody(*words):
    return subprocess.run(words, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd=folder,
                          env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120 * PATIENCE, check=False)


try:
    reachable = as_nobody(RIDEAU, "version")
    if reachable.returncode != 0:
        print("skipped: an ordinary user may not reach the program in this build folder")
        sys.exit(77)
except PermissionError:
    print("skipped: an ordinary user may not reach the program in this build folder")
    sys.exit(77)
try:
    step("what is missing is told: the device, then fusermount3")
    refused = as_nobody(RIDEAU, "up", "--dir", folder + "/cluster")
    expect(refused.returncode == 1 and "/dev/fuse" in refused.stdout, f"{refused.returncode}: {refused.stdout}")
    os.chmod(device, 0o666)
    helper = shutil.which("fusermount3")
    subprocess.run(["mount", "--bind", "/dev/null", helper], check=True)
    poor = as_nobody(RIDEAU, "up", "--dir", folder + "/cluster")
    subprocess.run(["umount", helper], check=True)
    expect(poor.returncode == 1 and "fuse3" in poor.stdout, f"{poor.returncode}: {poor.stdout}")
    step("with both, the cluster is mounted")
    rich = as_nobody(RIDEAU, "up", "--dir", folder + "/cluster")
    expect(rich.returncode == 0, rich.stdout)
    done = as_nobody("sh", "-c", "echo mine > cluster/mnt/file && cat cluster/mnt/file && ls -ln cluster/mnt/file")
    expect(done.returncode == 0 and "mine" in done.stdout and f" {nobody.pw_uid} " in done.stdout, done.stdout)
    down = as_nobody(RIDEAU, "down", "--dir", folder + "/cluster")
    expect(down.returncode == 0, down.stdout)
finally:
    subprocess.run(["umount", "-l", folder + "/cluster/mnt"], stderr=subprocess.DEVNULL, check=False)
    as_nobody(RIDEAU, "down", "--dir", folder + "/cluster")
    expect_no_reports(reports)
    shutil.rmtree(folder, ignore_errors=True)
print("an ordinary user is served")
