# SPDX-License-Identifier: Apache-2.0
"""Two clusters that differ in one key of their configuration, at work in turn: what that key costs. Each round is a pair, and
the one that begins changes from round to round, so that whatever else the machine does falls on both."""
import contextlib
import json
import os
import statistics

from cluster import BUILD, cluster, expect, run

LOAD = os.path.join(BUILD, "tests", "rideau-bench-load")
LIBRARY = os.path.join(BUILD, "tests", "rideau-bench-library")


@contextlib.contextmanager
def configured(key, value):
    """A cluster with this key in [defaults], served and mounted."""
    with cluster(start=False) as made:
        made.up()
        made.down()
        with open(made.config) as file:
            lines = file.read().splitlines(keepends=True)
        commented = [number for number, line in enumerate(lines) if line.startswith(f"#{key} = ")]
        expect(len(commented) == 1, f"{made.config} has no place for {key}")
        lines[commented[0]] = f"{key} = {value}\n"
        with open(made.config, "w") as file:
            file.write("".join(lines))
        made.up()
        yield made
        made.down()


def mount_creates(made, number, processes, files):
    """A second, all processes together."""
    done = run(LOAD, os.path.join(made.mount, f"round{number}-{processes}"), "--processes", processes, "--files", files,
               "--phases", "create")
    line = json.loads(done.stdout.splitlines()[-1])
    expect(line["operations"] == processes * files and line["seconds"] > 0, f"a phase without work: {line}")
    return line["operations"] / line["seconds"]


def library_creates(made, files, in_flight):
    done = run(LIBRARY, made.config, made.folder, "--files", files, "--in-flight", in_flight, "--rounds", 1)
    found = json.loads(done.stdout.splitlines()[-1])
    expect(found["creates"] > 0, f"nothing was made: {found}")
    return found["creates"]


class Pair:
    """Rates of both clusters, one of each a round."""

    def __init__(self):
        self.rates = ([], [])

    def measure(self, one, other, rounds, rate):
        for number in range(rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                self.rates[which].append(rate((one, other)[which], number))

    def medians(self):
        return [statistics.median(rates) for rates in self.rates]

    def ratios(self):
        """Of the other to the one, in the order of size."""
        return sorted(theirs / ours for ours, theirs in zip(*self.rates))

    def text(self):
        ratios = self.ratios()
        one, other = self.medians()
        return f"{one:,.0f}/s and {other:,.0f}/s, **{statistics.median(ratios):.3f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def durability(files, rounds):
    """What docs/figures.md says of answers that wait for the disk."""
    with configured("durability", '"replay"') as replay, configured("durability", '"commit"') as commit:
        mount, alone, many = Pair(), Pair(), Pair()
        mount.measure(replay, commit, rounds, lambda made, number: mount_creates(made, number, 1, files))
        alone.measure(replay, commit, rounds, lambda made, number: library_creates(made, files, 1))
        many.measure(replay, commit, rounds, lambda made, number: library_creates(made, 10 * files, min(1024, files)))
    return (f"Creates a second with `durability = \"replay\"` and `\"commit\"`, and their ratio, medians of {rounds} pairs:\n\n"
            f"- one process on the mount: {mount.text()}\n"
            f"- through the library, one after the other: {alone.text()}\n"
            f"- through the library, {min(1024, files)} in flight: {many.text()}\n")


def events(files, rounds, starts):
    """What docs/figures.md says of the ring of events. A few percent may be where a process happens to lie in memory, so
    both clusters are started several times."""
    found = {1: Pair(), 4: Pair()}
    for start in range(starts):
        with configured("events", "true") as kept, configured("events", "false") as none:
            for processes, pair in found.items():
                pair.measure(none, kept, rounds,
                             lambda made, number, count=processes: mount_creates(made, number, count, files))
    text = ("Creates a second on a mount without the ring of events and with it, and their ratio, medians of "
            f"{rounds * starts} pairs:\n\n")
    for processes, pair in found.items():
        cost = 1 - statistics.median(pair.ratios())
        text += f"- {processes} process{'es' if processes > 1 else ''}: {pair.text()}: it costs {100 * cost:.1f} % (bar: under 3)\n"
    return text
