# SPDX-License-Identifier: Apache-2.0
"""Goal: between processes of one machine bulk goes through no socket: the servers work on the memory of the client. Which ends
well also when one side is killed in the middle, and can be switched off."""
import glob
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from cluster import cluster, expect, kill_processes, need_fuse, rideau, step

MIB = 1 << 20


def content(number, size):
    return (hashlib.sha512(str(number).encode()).digest() * (size // 64 + 1))[:size]


def write(path, data):
    with open(path, "wb", buffering=0) as file:
        for at in range(0, len(data), MIB):
            file.write(data[at:at + MIB])
        os.fsync(file.fileno())


def write_again(path, data):
    """Until it is durable: a program that has a file open while a server restarts may be told EIO, in this version."""
    until = time.monotonic() + 100
    while True:
        try:
            return write(path, data)
        except OSError:
            expect(time.monotonic() < until, f"{path} cannot be written")


def read(path):
    with open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(MIB), b""))


def bulk(made):
    """Bytes of files that the object servers received, sent, and of these used in the memory of the client."""
    told = json.loads(rideau("stats", "--config", made.config, "--json").stdout)
    servers = [node["metrics"] for node in told["nodes"] if node["node"].startswith("oss")]
    return [sum(server[f"rideau_server_payload_{what}_bytes_total"] for server in servers) for what in ("received", "sent", "shown")]


def transfer(made, name, size=24 * MIB):
    """Writes a file and reads it on a new mount. What the servers received and sent of it, and what they saw in place."""
    before = bulk(made)
    write(f"{made.mount}/{name}", content(name, size))
    rideau("umount", made.mount)
    made.up()
    expect(read(f"{made.mount}/{name}") == content(name, size), f"{name} has other bytes")
    received, sent, shown = [after - old for after, old in zip(bulk(made), before)]
    expect(received == size == sent, f"of {size} bytes {received} went and {sent} came")
    return shown / (received + sent)


def mount_process(made):
    """The client of the mount, whatever number it has: one that is unmounted keeps its own until it has ended."""
    for path in glob.glob(glob.escape(made.folder) + "/run/client*.pid"):
        with open(path) as file:
            process, *mounts = file.read().split("\n")
        if made.mount in mounts:
            return int(process)
    raise AssertionError("nobody serves the mount")


def plain(made):
    """The same cluster with `local = false`."""
    made.down()
    with open(made.config) as file:
        text = file.read()
    changed = text.replace('transport = "tcp"', 'transport = {plugin = "tcp", local = false}')
    expect(changed != text, "the configuration names no transport")
    with open(made.config, "w") as file:
        file.write(changed)
    made.up()


def killed_servers(made):
    step("object servers are killed while a program writes and another one reads")
    first = content("first", 48 * MIB)
    write(f"{made.mount}/first", first)
    other = made.mount_another("other")
    wrong = []

    def keep_reading():
        while not done.is_set():
            with open("/proc/sys/vm/drop_caches", "w") as caches:
                caches.write("1")
            try:
                if read(f"{other}/first") != first:
                    wrong.append("other bytes were read")
                    return
            except OSError:
                pass    # the call that met the server's end, in this version
    done = threading.Event()
    reader = threading.Thread(target=keep_reading)
    reader.start()
    for number in range(4):
        writer = threading.Thread(target=write_again, args=(f"{made.mount}/w{number}", content(number, 32 * MIB)))
        writer.start()
        time.sleep(0.03 * number)
        node = f"oss{number % 2}"
        made.kill(node)
        made.serve(node)
        writer.join(120)
        expect(not writer.is_alive(), "a write does not end")
    done.set()
    reader.join(120)
    expect(not reader.is_alive() and not wrong, f"the reader: {wrong or 'does not end'}")
    rideau("umount", other)
    made.extra_mounts.remove(other)
    for number in range(4):
        expect(read(f"{made.mount}/w{number}") == content(number, 32 * MIB), f"w{number} has other bytes")


def killed_client(made):
    step("a mount is killed while it writes: the servers go on, and serve the next one")
    program = f"import os\nfile = open({made.mount + '/last'!r}, 'wb', buffering=0)\nwhile True: file.write(os.urandom(1 << 20))"
    writer = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while (not os.path.exists(made.mount + "/last") or os.stat(made.mount + "/last").st_size < 4 * MIB) and time.monotonic() < until:
        time.sleep(0.01)
    kill_processes([mount_process(made)])
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    subprocess.run(["umount", "-l", made.mount], check=False)
    made.up()
    expect(read(f"{made.mount}/w0") == content(0, 32 * MIB), "w0 has other bytes")
    os.unlink(made.mount + "/last")
    transfer(made, "afterwards")


need_fuse()
with cluster() as made_here:
    step("bulk of a write and of a read")
    share = transfer(made_here, "shown")
    # What fits into a message rides in it.
    expect(0.98 < share <= 1, f"only {share:.4f} of the bytes were used in place")
    killed_servers(made_here)
    killed_client(made_here)
    step("without it the same bytes go through the sockets")
    plain(made_here)
    share = transfer(made_here, "moved")
    expect(share == 0, f"{share:.2f} of the bytes were used in place")
    made_here.down()
    made_here.check()
print("processes of one machine see one memory")
