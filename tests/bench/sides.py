# SPDX-License-Identifier: Apache-2.0
"""The file systems that are measured beside each other, each mounted somewhere and served by known processes."""
import contextlib
import os
import shutil
import subprocess
import time

from cluster import BUILD, Cluster, cluster, expect, rideau, temporary_folder

NULL_FUSE = os.path.join(BUILD, "tests", "rideau-bench-null-fuse")
MOOSEFS_PROGRAMS = ["mfsmaster", "mfschunkserver", "mfsmount", "mfssetgoal", "mfssettrashtime"]
MOOSEFS_EMPTY = "/var/lib/mfs/metadata.mfs.empty"


class Side:
    """One of the file systems: where it is mounted and the processes that serve it, by role."""

    def __init__(self, name, mount, roles):
        self.name = name
        self.mount = mount
        self.roles = roles
        self.rates = {}     # (phase, processes) -> operations per second, one a round
        self.costs = {}     # (phase, processes) -> microseconds of CPU an operation, by role, one a round

    def forget(self):
        """Whoever serves the mount caches nothing any more; what the kernel caches is dropped by who measures."""


class RideauSide(Side):
    def __init__(self, made):
        self.made = made
        super().__init__("rideau", made.mount, {
            "client": [made.process("client0")],
            "mds": [made.process("mds0")],
            "oss": [made.process("oss0"), made.process("oss1")],
        })

    def forget(self):
        rideau("umount", self.mount)
        self.made.up()
        self.roles["client"] = [self.made.process("client0")]


def read_ahead_like_ours(mount):
    """Our mount raises the kernel's read-ahead to 1 MiB; where that is not allowed, no side has it."""
    device = os.stat(mount).st_dev
    with contextlib.suppress(OSError):
        with open(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb", "w") as file:
            file.write("1024")


def await_mount(mount, process=None):
    until = time.monotonic() + 20
    while not os.path.ismount(mount):
        expect((process is None or process.poll() is None) and time.monotonic() < until, f"nothing is mounted at {mount}")
        time.sleep(0.01)


@contextlib.contextmanager
def null_side():
    with temporary_folder() as folder:
        mount = os.path.join(folder, "mnt")
        os.mkdir(mount)
        served = subprocess.Popen([NULL_FUSE, mount])
        try:
            await_mount(mount, served)
            read_ahead_like_ours(mount)
            yield Side("null", mount, {"null": [served.pid]})
        finally:
            unmount = ["umount", mount] if os.geteuid() == 0 else ["fusermount3", "-u", mount]
            subprocess.run(unmount, check=False, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                served.wait(10)
            if served.poll() is None:
                served.kill()
                served.wait()


@contextlib.contextmanager
def disk_side():
    """A folder beside the data of the cluster."""
    with temporary_folder() as folder:
        yield Side("disk", folder, {})


@contextlib.contextmanager
def rideau_side():
    with cluster() as made:
        yield RideauSide(made)
        made.down()


@contextlib.contextmanager
def servers_alone():
    """A cluster without a mount, for the library."""
    with temporary_folder() as folder:
        made = Cluster(os.path.join(folder, "cluster"), 2, ["--no-mount"])
        made.up()
        try:
            yield made
        finally:
            made.down()


def moosefs_is_here():
    return os.geteuid() == 0 and os.path.exists(MOOSEFS_EMPTY) and all(map(shutil.which, MOOSEFS_PROGRAMS)) \
        and shutil.which("ip") is not None and shutil.which("nsenter") is not None


class MooseFs:
    """One master and two chunk servers from Debian's packages. They refuse loopback addresses for each other, so they
    get a network namespace with an address of its own."""

    ADDRESS = "10.99.7.1"

    def __init__(self, folder):
        self.folder = folder
        self.namespace = f"rideau-bench-{os.getpid()}"
        self.mount = os.path.join(folder, "mnt")
        self.stops = []

    def inside(self, *words, check=True):
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.namespace}", *words], check=check,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-n", self.namespace, "addr", "add", self.ADDRESS + "/32", "dev", "lo"], check=True)
        user = "WORKING_USER = root\nWORKING_GROUP = root\n"
        data = os.path.join(self.folder, "master")
        os.makedirs(data)
        shutil.copy(MOOSEFS_EMPTY, os.path.join(data, "metadata.mfs"))
        exports = self.write("exports", "* / rw,alldirs,admin,maproot=0:0\n")
        topology = self.write("topology", "")
        listens = "".join(f"{name}_LISTEN_HOST = {self.ADDRESS}\n" for name in ("MATOML", "MATOCS", "MATOCL"))
        master = self.write("master.cfg", f"{user}DATA_PATH = {data}\nEXPORTS_FILENAME = {exports}\n"
                                          f"TOPOLOGY_FILENAME = {topology}\n{listens}")
        self.stops.append(("mfsmaster", "-c", master, "stop"))
        self.inside("mfsmaster", "-c", master, "start")
        for number in range(2):
            data = os.path.join(self.folder, f"chunk{number}")
            os.makedirs(os.path.join(data, "hdd"))
            disks = self.write(f"disks{number}", os.path.join(data, "hdd") + "\n")
            config = self.write(f"chunk{number}.cfg", f"{user}DATA_PATH = {data}\nHDD_CONF_FILENAME = {disks}\n"
                                f"BIND_HOST = {self.ADDRESS}\nMASTER_HOST = {self.ADDRESS}\n"
                                f"CSSERV_LISTEN_HOST = {self.ADDRESS}\nCSSERV_LISTEN_PORT = {9522 + number}\n"
                                "MASTER_RECONNECTION_DELAY = 1\n")
            self.stops.append(("mfschunkserver", "-c", config, "stop"))
            self.inside("mfschunkserver", "-c", config, "start")
        os.makedirs(self.mount)
        until = time.monotonic() + 30
        while not os.path.ismount(self.mount) and time.monotonic() < until:
            self.inside("mfsmount", self.mount, "-H", self.ADDRESS, check=False)
            time.sleep(0.2)
        expect(os.path.ismount(self.mount), "MooseFS does not mount")
        self.inside("mfssetgoal", "1", self.mount)
        self.inside("mfssettrashtime", "0", self.mount)
        self.await_chunk_servers()

    def await_chunk_servers(self):
        probe = os.path.join(self.mount, "probe")
        for tries in range(100):
            with contextlib.suppress(OSError):
                with open(probe, "wb", buffering=0) as file:
                    file.write(b"x" * 65536)
                    os.fsync(file.fileno())
                os.unlink(probe)
                return
            time.sleep(0.2)
        expect(False, "MooseFS takes no data")

    def stop(self):
        subprocess.run(["umount", "-l", self.mount], check=False, stderr=subprocess.DEVNULL)
        for words in reversed(self.stops):
            self.inside(*words, check=False)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def moosefs_side():
    with temporary_folder() as folder:
        moose = MooseFs(folder)
        try:
            moose.start()
            yield Side("MooseFS", moose.mount, {})
        finally:
            moose.stop()
