# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM's selftests: those of an unmodified newer kernel, and our own. All are
linked statically, so that any host runs them."""

import os
import pathlib
import re
import shutil

from lab import linux, lock, paths, say, sources, stamp

TOP = paths.OUT / "selftests"
KVM = "tools/testing/selftests/kvm"
PARTS = ("Makefile", "Kbuild", "Kconfig", "arch", "include", "scripts",
         "tools", "usr")

FEATURES = ("gcc", "-O2", "-Wall", "-Wextra", "-Werror",
            paths.LAB / "vmsa_features.c")

# Tests that do not compile in a source package as it is.
UNBUILDABLE = {"host.ours": {"dirty_log_test", "steal_time"}}


@lock.alone
def build(role, only=()):
    """The tests of a kernel source package as it is. Returns the directory
    with the binaries. One that does not compile is not there. only: names
    below that directory, if not all of them are wanted."""
    where = TOP / role
    key = stamp.digest(sources.rows(role), PARTS)
    if stamp.current(f"selftests.{role}", key, where):
        return where / KVM
    part = stamp.digest(sources.rows(role), PARTS, list(only))
    if only and stamp.current(f"selftests.{role}.part", part,
                              *(where / KVM / t for t in only)):
        return where / KVM
    tar = sorted(sources.unpacked(role).glob("usr/src/linux-source-*.tar.xz"))
    if not tar:
        raise say.Failed(f"{role} holds no source archive")
    stamp.clear(f"selftests.{role}")
    stamp.clear(f"selftests.{role}.part")
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    top = tar[0].name.removesuffix(".tar.xz")
    with say.Step(f"build the selftests of {top}") as step:
        say.run(["tar", "-xf", tar[0], "-C", where, "--strip-components=1",
                 *(f"{top}/{p}" for p in PARTS)], f"selftests-{role}", step)
        headers = _headers(where, where / "headers", role, step)
        try:
            say.run(["make", "-C", where / KVM, "-k", f"-j{os.cpu_count()}",
                     "LDFLAGS=-static", f"KHDR_INCLUDES=-isystem {headers}",
                     *(where / KVM / t for t in only)],
                    f"selftests-{role}", step, append=True, env=_env())
        except say.Failed:
            if _not_made(role) != UNBUILDABLE.get(role):
                raise
    if only:
        stamp.write(f"selftests.{role}.part", part)
    else:
        stamp.write(f"selftests.{role}", key)
    return where / KVM


def _not_made(role):
    """The targets make gave up on."""
    text = say.log_path(f"selftests-{role}").read_text(errors="replace")
    return {pathlib.Path(t).name
            for t in re.findall(r"^make.*: (\S+)\] Error \d+$", text, re.M)}


@lock.alone
def ours(name):
    """A test of the host series that needs nothing of the library."""
    source = paths.ROOT / KVM / "x86_64" / f"{name}.c"
    linux.kernel()
    where = TOP / "ours"
    where.mkdir(parents=True, exist_ok=True)
    headers = _headers(linux.WORK, where / "headers", "ours")
    say.run(["gcc", "-Wall", "-O2", "-static", "-isystem", headers,
             "-I", linux.WORK / KVM / "x86_64", "-o", where / name,
             linux.WORK / source.relative_to(paths.ROOT), "-lpthread"],
            f"selftests-{name}")
    return where / name


@lock.alone
def with_library(built, name):
    """A test of the host series that needs a newer kernel's library. built:
    what build() returned, its library compiled. Any host runs the binary."""
    source = paths.ROOT / KVM / "x86_64" / f"{name}.c"
    where = TOP / "bare"
    where.mkdir(parents=True, exist_ok=True)
    objects = sorted(built.glob("lib/*.o")) + sorted(built.glob("lib/x86/*.o"))
    if not objects:
        raise say.Failed(f"{paths.shown(built)} has no library")
    top = built.parents[3]
    include = [f"-I{top / 'tools' / p}" for p in
               ("include", "arch/x86/include", "testing/selftests",
                "testing/selftests/kvm/include",
                "testing/selftests/kvm/include/x86")]
    say.run(["gcc", "-std=gnu99", "-O2", "-g", "-Wall", "-Werror",
             "-Wstrict-prototypes", "-Wuninitialized", "-D_GNU_SOURCE=",
             "-DCONFIG_64BIT", "-U_FORTIFY_SOURCE", "-fno-builtin-memcmp",
             "-fno-builtin-memcpy", "-fno-builtin-memset",
             "-fno-builtin-strnlen", "-fno-stack-protector", "-fno-PIE",
             "-fno-strict-aliasing", "-march=x86-64-v2", *include, "-isystem",
             top / "headers/include", source, *objects, "-static", "-no-pie",
             "-pthread", "-o", where / name], f"selftests-{name}")
    return where / name


# Newer kernel's tests of SEV. Whoever needs their library has it made with them:
# so it is made once.
SEV = ("sev_smoke_test", "sev_init2_tests", "sev_migrate_tests")
# Some 3000 reads and writes of a guest's memory, each by the firmware.
SEV_DEBUG = ("sev_dbg_test",)


# And of private memory, as paths below the selftests.
MEMORY = ("guest_memfd_test", "set_memory_region_test",
          "pre_fault_memory_test", "x86/private_mem_kvm_exits_test",
          "x86/private_mem_conversions_test")


def newest():
    """build() of the newest kernel's tests that anybody here asks for."""
    return build("tests.debian-backports",
                 [*(f"x86/{t}" for t in SEV + SEV_DEBUG), *MEMORY])


def for_any_host(name):
    """with_library() of a test, by the newest kernel's library."""
    return with_library(newest(), name)


@lock.alone
def with_features(built, test):
    """A newer kernel's test as it is, whose guests get the SEV_FEATURES that
    the environment's VMSA_FEATURES says. built: what build() returned."""
    where = TOP / "features"
    where.mkdir(parents=True, exist_ok=True)
    objects = sorted(built.glob("lib/*.o")) + sorted(built.glob("lib/x86/*.o"))
    say.run([*FEATURES, "-static", "-no-pie", "-s", "-pthread",
             "-Wl,--wrap=ioctl", built / "x86" / f"{test}.o", *objects, "-o",
             where / test], f"selftests-features-{test}")
    return where / test


@lock.alone
def preload():
    """What gives a VMM's guests SEV_FEATURES in the same way (LD_PRELOAD)."""
    out = TOP / "features" / "preload.so"
    out.parent.mkdir(parents=True, exist_ok=True)
    say.run([*FEATURES, "-DPRELOAD", "-shared", "-fPIC", "-o", out, "-ldl"],
            "selftests-features-preload")
    return out


@lock.alone
def with_certificates():
    """What answers KVM's requests for certificates before a VMM sees them
    (LD_PRELOAD): lab/req_certs.c."""
    out = TOP / "features" / "certs.so"
    out.parent.mkdir(parents=True, exist_ok=True)
    say.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
             "-o", out, paths.LAB / "req_certs.c", "-ldl"],
            "selftests-certificates-preload")
    return out


def _headers(tree, where, log, step=None):
    build_dir = where.with_suffix(".build")
    say.run(["make", "-C", tree, f"O={build_dir}", "headers_install",
             f"INSTALL_HDR_PATH={where}"], f"selftests-{log}-headers", step,
            env=_env())
    return where / "include"


def _env():
    env = dict(os.environ, LC_ALL="C")
    env.pop("APT_CONFIG", None)
    return env
