# SPDX-License-Identifier: GPL-2.0-or-later
"""Several things at a time, each in a process of its own."""

import multiprocessing
import multiprocessing.connection
import os
import signal

from lab import observe, say

MEMORY = 5 << 30                # what a host on the machine takes, and more

_FORK = multiprocessing.get_context("fork")


def default():
    """As many as there are cores, and as memory suffices for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY))


def _child(work, task, sender):
    say.PLAIN = True            # one terminal takes no two bars
    try:
        sender.send(work(task))
    except KeyboardInterrupt:
        os._exit(1)             # who asked for it has been told


def _end(running):
    """Has each take down what it has running, and waits for it."""
    for child, _ in running.values():
        if child.is_alive():
            os.kill(child.pid, signal.SIGTERM)
    for child, _ in running.values():
        child.join()


def run(tasks, work, most, alone=lambda task: False):
    """Calls work(task) for each of the tasks, in their order, at most so many
    at a time, and for what alone() says with nothing beside it. Yields (task,
    what it returned) as they end; None if its process did not get there. A
    signal that ends this process ends those first."""
    todo, running = list(tasks), {}
    with observe.interrupted():
        try:
            while todo or running:
                while todo and len(running) < most and not (
                        running and (alone(todo[0]) or
                                     any(alone(t) for _, t in
                                         running.values()))):
                    task = todo.pop(0)
                    receiver, sender = _FORK.Pipe(duplex=False)
                    child = _FORK.Process(target=_child,
                                          args=(work, task, sender))
                    child.start()
                    sender.close()
                    running[receiver] = (child, task)
                for receiver in multiprocessing.connection.wait(running):
                    child, task = running.pop(receiver)
                    try:
                        result = receiver.recv()
                    except EOFError:
                        result = None
                    child.join()
                    receiver.close()
                    yield task, result
        finally:
            _end(running)
