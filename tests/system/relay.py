# SPDX-License-Identifier: Apache-2.0
"""A long cable between two machines (machines.py): a TUN device in each, and a process that carries packets from one to the
other, later, not all of them, or none while it is cut."""
import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_BYTES_MAX = 65536


def open_device(machine, name):
    """In the network of that machine. The calling process moves there."""
    network = os.open(f"/proc/{machine.holder.pid}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(network)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Relay:
    """`delay` in seconds, each way; `loss`: the part of all packets that is lost."""

    def __init__(self, machines, addresses, delay, loss, seed):
        self.delay, self.loss, self.chance = delay, loss, random.Random(seed)
        ready, tell = os.pipe()
        orders, self.orders = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                os.close(self.orders)
                for machine in machines:
                    machine.holder.stdin.close()    # it would keep them alive
                devices = [open_device(machine, "far0") for machine in machines]
                os.write(tell, b".")
                self.carry(devices, orders)
                status = 0
            finally:
                os._exit(status)
        os.close(tell)
        os.close(orders)
        if os.read(ready, 1) != b".":
            raise AssertionError("the relay does not start")
        os.close(ready)
        for machine, own, other in zip(machines, addresses, reversed(addresses)):
            machine.run("ip", "address", "add", own, "peer", other, "dev", "far0")
            machine.run("ip", "link", "set", "far0", "mtu", 1500, "up")

    def carry(self, devices, orders):
        """Until the one who gives orders is gone."""
        under_way, number, cut = [], 0, False
        while True:
            now = time.monotonic()
            while under_way and under_way[0][0] <= now:
                _, _, to, packet = heapq.heappop(under_way)
                if not cut:
                    try:
                        os.write(to, packet)
                    except OSError:
                        pass        # its queue is full: lost, as on any cable
            left = max(0, under_way[0][0] - now) if under_way else None
            for source in select.select([orders, *devices], [], [], left)[0]:
                if source == orders:
                    order = os.read(orders, 1)
                    if not order:
                        return
                    cut = order == b"x"
                    continue
                packet = os.read(source, PACKET_BYTES_MAX)
                if not cut and self.chance.random() >= self.loss:
                    to = devices[1] if source == devices[0] else devices[0]
                    number += 1
                    heapq.heappush(under_way, (time.monotonic() + self.delay, number, to, packet))

    def cut(self):
        os.write(self.orders, b"x")

    def mend(self):
        os.write(self.orders, b"o")

    def end(self):
        os.close(self.orders)
        os.kill(self.process, signal.SIGTERM)
        os.waitpid(self.process, 0)
