# SPDX-License-Identifier: GPL-2.0-or-later
"""A back trace of a machine that a signal ended, where this computer writes
cores into files and has gdb. Where it does not, nothing is tried."""

import pathlib
import re
import resource
import shutil
import subprocess

PATTERN = pathlib.Path("/proc/sys/kernel/core_pattern")
FRAMES = 24                     # lines of it that are shown
PATIENCE = 120                  # seconds gdb has


def _pattern():
    """Where the kernel writes cores; None if to a program, or unknown."""
    try:
        text = PATTERN.read_text().strip()
    except OSError:
        return None
    return None if not text or text.startswith("|") else text


def wanted():
    return bool(_pattern() and shutil.which("gdb"))


def allow():
    """In the child, before it becomes the machine."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def find(pid, cwd):
    """The core of a process that ran in cwd, or None."""
    text = _pattern()
    if not text:
        return None
    if "%p" not in text:
        text += ".%p"           # as core_uses_pid has it
    glob = re.sub(r"%(.)", lambda m: {"p": str(pid), "%": "%"}.get(
        m.group(1), "*"), text)
    top = pathlib.Path("/") if glob.startswith("/") else pathlib.Path(cwd)
    found = [*top.glob(glob.lstrip("/")), *pathlib.Path(cwd).glob("core")]
    return found[0] if found else None


def trace(binary, pid, cwd):
    """Lines: the frames of the thread that got the signal."""
    core = find(pid, cwd)
    if not core:
        return []
    try:
        r = subprocess.run(["gdb", "-nx", "-batch", "-ex", "bt", binary, core],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL, text=True, check=False,
                           errors="replace", timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return []
    # gdb shows the innermost frame by itself, too
    frames = re.findall(r"^#\d+ .*", r.stdout, re.M)
    return list(dict.fromkeys(frames))[:FRAMES]
