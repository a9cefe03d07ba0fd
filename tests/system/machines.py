# SPDX-License-Identifier: Apache-2.0
"""Machines as far as network and mounts are concerned: namespaces that a test makes, and that go with it."""
import os
import shutil
import subprocess
import sys

from cluster import RIDEAU, run


def enter_own_world():
    """Starts this test again with a network and mounts of its own: what it makes there goes with it."""
    if "--inside" in sys.argv:
        run("mount", "--make-rprivate", "/")
        return
    possible = os.geteuid() == 0 and shutil.which("ip") and subprocess.run(
        ["unshare", "--net", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not possible:
        print("skipped: network namespaces need root and the package iproute2")
        sys.exit(77)
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv, "--inside"])


class Machine:
    def __init__(self):
        # Lives as long as its standard input.
        self.holder = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", "echo; read end"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.inside = f"/proc/{self.holder.pid}/root"
        self.servers = {}
        self.mounts = []
        self.run("ip", "link", "set", "lo", "up")

    def words(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "--net", "--mount", "--", *map(str, words)]

    def run(self, *words, **options):
        return run(*self.words(*words), **options)

    def rideau(self, *words, **options):
        return self.run(RIDEAU, *words, **options)

    def serve(self, config, node, log):
        self.servers[node] = subprocess.Popen(self.words(RIDEAU, "serve", "--config", config, "--node", node, "--log-file", log))

    def mount(self, config, point):
        self.rideau("mount", "--config", config, point)
        self.mounts.append(point)

    def end(self):
        for point in self.mounts:
            subprocess.run(self.words("umount", "-l", point), stderr=subprocess.DEVNULL, check=False)
        for server in self.servers.values():
            if server.poll() is None:
                server.kill()
                server.wait()
        self.holder.stdin.close()
        self.holder.wait()
