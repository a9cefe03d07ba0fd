# SPDX-License-Identifier: Apache-2.0
"""Goal: the example of four machines works as docs/operations.md goes through it, on four machines as far as network and
mounts are concerned: namespaces with an address each, on one switch. Every machine mounts; a cable that is pulled is a pause."""
import json
import os
import threading
import time
import uuid

from cluster import expect, need_fuse, run, step, temporary_folder
from machines import Machine, enter_own_world

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "clusters", "four_machines.toml")
NODES = ("mds0", "oss0", "oss1", "oss2")  # of the machines 10.0.0.1 to 10.0.0.4


class OnSwitch(Machine):
    """With an address on the switch, /var/lib of its own as the example wants it, and the same configuration everywhere."""

    def __init__(self, number, folder, example):
        super().__init__()
        self.number, self.node = number, NODES[number - 1]
        self.cable = f"cable{number}"
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        run("ip", "link", "set", self.cable, "master", "switch", "up")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "address", "add", f"10.0.0.{number}/24", "dev", "eth0")
        os.makedirs(f"{folder}/{number}/rideau")
        self.run("mount", "--bind", f"{folder}/{number}", "/var/lib")
        self.config = f"{folder}/{number}/cluster.toml"
        with open(self.config, "w") as file:
            file.write(example)
        self.point = f"{folder}/{number}/mnt"
        os.mkdir(self.point)

    def start(self):
        self.run("mkdir", f"/var/lib/rideau/{self.node}")
        self.serve(self.config, self.node, f"/var/lib/rideau/{self.node}.log")

    def path(self, name):
        """Of a file on its mount, as this process reaches it."""
        return f"{self.inside}{self.point}/{name}"

    def log(self):
        with open(f"{self.inside}/var/lib/rideau/{self.node}.log") as file:
            return file.read()


def status(machine):
    told = json.loads(machine.rideau("status", "--config", machine.config, "--json", check=False).stdout)
    return told, [node["node"] for node in told["nodes"] if node["up"] and node["role"] != "client"]


def shown_bytes(machine):
    """What the server of this machine used in place in the memory of clients."""
    told = json.loads(machine.rideau("stats", "--config", machine.config, "--node", machine.node, "--json").stdout)
    return told["nodes"][0]["metrics"]["rideau_server_payload_shown_bytes_total"]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def work(machines):
    step("the servers, each on its machine")
    for machine in machines:
        machine.rideau("check-config", machine.config)
        machine.start()
    until = time.monotonic() + 60
    while status(machines[3])[1] != list(NODES):
        expect(time.monotonic() < until, machines[3].rideau("status", "--config", machines[3].config, check=False).stdout)
        time.sleep(0.1)
    step("every machine mounts, and sees what the others do")
    for machine in machines:
        machine.mount(machine.config, machine.point)
    for machine in machines:
        for number in range(6):
            with open(machine.path(f"{machine.number}-{number}"), "wb") as file:
                file.write(b"%d" % machine.number * 100_000)
    for machine in machines:
        expect(len(os.listdir(machine.path(""))) == 24, f"machine {machine.number} sees {os.listdir(machine.path(''))}")
        for other in machines:
            expect(read(machine.path(f"{other.number}-5")) == b"%d" % other.number * 100_000, "another content")
    used = {node["node"]: node["objects"] for node in status(machines[1])[0]["nodes"] if "objects" in node}
    expect(sorted(used) == ["oss0", "oss1", "oss2"] and sum(used.values()) == 24 and min(used.values()) >= 4, used)
    step("bytes go from memory to memory within a machine, and over the network between two")
    shown = lambda: sum(shown_bytes(machine) for machine in machines)
    os.mkdir(machines[0].path("wide"))
    machines[0].rideau("layout", "set", "--count", "all", machines[0].point + "/wide")
    for machine in machines[:2]:    # the first one has no object server
        before = shown()
        with open(machine.path("wide/large"), "wb") as file:
            file.write(b"x" * (8 << 20))
            os.fsync(file.fileno())
        expect((shown() > before) == (machine is machines[1]), f"{shown() - before} bytes seen in place on machine {machine.number}")
        os.unlink(machine.path("wide/large"))
    os.rmdir(machines[0].path("wide"))
    step("figures of every machine are there for one Prometheus")
    addresses = [f"10.0.0.{machine.number}:{port}" for machine in machines for port in (9400, 9401)]
    program = ("import sys, urllib.request as u\n"
               "for address in sys.argv[1:]:\n"
               "    text = u.urlopen(f'http://{address}/metrics', timeout=10).read().decode()\n"
               "    print(address, 'process_resident_memory_bytes' in text)\n")
    told = machines[0].run("python3", "-c", program, *addresses).stdout
    expect(told.splitlines() == [f"{address} True" for address in addresses], told)
    step("the check, from a machine that holds none of the names")
    answer = machines[2].rideau("fsck", "--config", machines[2].config)
    expect("25 inodes, 24 names, 24 objects: clean" in answer.stdout, answer.stdout)


def pulled_cable(machines):
    step("a cable is pulled, and put back: calls wait and go on")
    away = machines[1]
    run("ip", "link", "set", away.cable, "down")
    problems = []

    def write():
        try:
            for number in range(6):
                with open(machines[0].path(f"waits{number}"), "wb") as file:
                    file.write(b"w" * 200_000)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            problems.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(1)
    expect(writer.is_alive(), "nothing waits for the machine that is away")
    expect(status(machines[3])[1] == ["mds0", "oss1", "oss2"], "the status does not tell who is away")
    run("ip", "link", "set", away.cable, "up")
    writer.join(60)
    expect(not writer.is_alive() and not problems, f"after the cable was put back: {problems or 'it still waits'}")
    for number in range(6):
        expect(read(machines[2].path(f"waits{number}")) == b"w" * 200_000, "another content")
    # Its lease is longer than that, and what it was asked meanwhile it hears when it is back.
    expect("evicted" not in machines[0].log(), "the machine whose cable was pulled was evicted:\n" + machines[0].log()[-3000:])


def stop(machines):
    step("stop: mounts first, then the servers")
    for machine in machines:
        machine.rideau("umount", machine.point)
    for machine in machines:
        server = machine.servers[machine.node]
        server.terminate()
        expect(server.wait(60) == 0, f"{machine.node} ended with {server.returncode}")


need_fuse()
enter_own_world()
with temporary_folder() as top, open(EXAMPLE) as example_file:
    text = example_file.read()
    text = text.replace(text.split('uuid = "')[1].split('"')[0], str(uuid.uuid4()))
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "link", "set", "switch", "up")
    all_machines = []
    try:
        for each in range(1, 5):
            all_machines.append(OnSwitch(each, top, text))
        work(all_machines)
        pulled_cable(all_machines)
        stop(all_machines)
    finally:
        for one in all_machines:
            one.end()
print("four machines work together")
