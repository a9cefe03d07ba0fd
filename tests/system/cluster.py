# SPDX-License-Identifier: Apache-2.0
"""A real cluster in a temporary folder, for the system tests: started and stopped through the program alone."""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
RIDEAU = os.path.join(BUILD, "bin", "rideau")


def sanitizer_of_build():
    """What RIDEAU_SANITIZE was; empty for an ordinary build."""
    with open(os.path.join(BUILD, "CMakeCache.txt")) as file:
        return next((line.split("=", 1)[1].strip() for line in file if line.startswith("RIDEAU_SANITIZE:")), "")


SANITIZER = sanitizer_of_build()
# What must end at all is waited for so many times longer than usual.
PATIENCE = 6 if SANITIZER else 1

# In a build with a sanitizer every process of this test writes what it finds to REPORTS.<process>: nobody sees how a server
# or a mount ends, and its log goes with the cluster.
REPORTS = os.path.join(BUILD, "reports", f"{os.path.basename(sys.argv[0])}-{os.getpid()}")
SANITIZER_OPTIONS = ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
for options in SANITIZER_OPTIONS:
    os.environ[options] = f"{os.environ.get(options, '')}:log_path={REPORTS}"


def expect_no_reports(reports=REPORTS):
    found = sorted(glob.glob(reports + ".*"))
    texts = []
    for path in found:
        with open(path, errors="replace") as file:
            texts.append(f"{path}\n{file.read()[:20000]}")
    expect(not found, f"{len(found)} processes were reported by the sanitizer:\n" + "\n".join(texts[:3]))


def run(*words, check=True, timeout=600 * PATIENCE, **options):
    """Runs a program; its output is shown when it fails."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout[-4000:]}")
    return done


def rideau(*words, **options):
    return run(RIDEAU, *words, **options)


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def step(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Cluster:
    def __init__(self, folder, oss=2, options=()):
        self.folder = folder
        self.mount = os.path.join(folder, "mnt")
        self.config = os.path.join(folder, "cluster.toml")
        self.oss = oss
        self.options = list(options)
        self.extra_mounts = []

    def up(self, **options):
        return rideau("up", "--dir", self.folder, "--oss", self.oss, *self.options, **options)

    def down(self, **options):
        processes = self.processes()
        done = rideau("down", "--dir", self.folder, **options)
        if done.returncode == 0:
            for process in processes:
                await_end(process)      # what a sanitizer looks for at the end of a process is part of it
        return done

    def check(self):
        """The stopped cluster's stores hold together."""
        done = rideau("fsck", "--config", self.config, check=False)
        expect(done.returncode == 0, f"fsck: exit status {done.returncode}\n{done.stdout[-4000:]}")

    def mount_another(self, name, *options):
        point = os.path.join(self.folder, name)
        os.makedirs(point, exist_ok=True)
        rideau("mount", "--config", self.config, *options, point)
        self.extra_mounts.append(point)
        return point

    def process(self, node):
        with open(os.path.join(self.folder, "run", node + ".pid")) as file:
            return int(file.readline())

    def nodes(self):
        return sorted(os.path.basename(path)[:-4] for path in glob.glob(glob.escape(self.folder) + "/run/*.pid"))

    def processes(self):
        """Of the nodes that have told theirs."""
        found = []
        for node in self.nodes():
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(self.process(node))
        return found

    def kill(self, *nodes):
        kill_processes([self.process(node) for node in nodes])

    def kill_all(self):
        kill_processes(self.processes())

    def serve(self, *nodes):
        """Starts nodes that do not run, as an operator would; what they say goes to their logs. Does not wait for them."""
        for node in nodes:
            with open(os.path.join(self.folder, "log", node + ".log"), "ab") as log:
                subprocess.Popen([RIDEAU, "serve", "--config", self.config, "--node", node], stdout=log, stderr=log,
                                 start_new_session=True)

    def log(self, node):
        with open(os.path.join(self.folder, "log", node + ".log"), errors="replace") as file:
            return file.read()


def kill_processes(processes):
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for process in processes:
        await_end(process)


def await_end(process, seconds=30 * PATIENCE):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            with open(f"/proc/{process}/stat") as file:
                if file.read().split(")")[1].split()[0] == "Z":
                    return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} does not end")


@contextlib.contextmanager
def temporary_folder():
    folder = tempfile.mkdtemp(prefix="rideau-test-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        expect_no_reports()


@contextlib.contextmanager
def cluster(oss=2, options=(), start=True):
    """A cluster that is taken down at the end, also when the test failed; then its logs are shown."""
    with temporary_folder() as folder:
        made = Cluster(os.path.join(folder, "cluster"), oss, options)
        try:
            if start:
                made.up()
            yield made
        except BaseException:
            if os.path.isdir(os.path.join(made.folder, "log")):
                for name in sorted(os.listdir(os.path.join(made.folder, "log"))):
                    with open(os.path.join(made.folder, "log", name), errors="replace") as file:
                        print(f"--- {name}\n{file.read()[-3000:]}", flush=True)
            raise
        finally:
            if os.path.exists(made.config):
                for point in [*made.extra_mounts, made.mount]:
                    subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)
                made.kill_all()
                subprocess.run(["umount", "-l", made.mount], stderr=subprocess.DEVNULL, check=False)


def need_fuse():
    if not os.path.exists("/dev/fuse"):
        print("skipped: this machine has no /dev/fuse")
        sys.exit(77)
