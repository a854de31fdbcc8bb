# SPDX-License-Identifier: GPL-2.0-or-later
"""The launch digest of a guest, computed from what its owner knows: the
firmware image, the number of vCPUs and the processor model. Nothing here asks
the machine, KVM or QEMU.

SNP firmware ABI (56860), launch digest and page types; OVMF's table of GUIDs
and SEV metadata; QEMU's order: flash, metadata sections, VMSAs.
"""

import hashlib

PAGE = 4096
# page types of SNP_LAUNCH_UPDATE
NORMAL, VMSA, ZERO, UNMEASURED, SECRETS, CPUID = range(1, 7)
VMSA_GPA = 0xFFFFFFFFF000


def _guid(text):
    """As UEFI stores it. (uuid would import a platform that is the lab's.)"""
    a, b, c, *rest = (bytes.fromhex(x) for x in text.split("-"))
    return a[::-1] + b[::-1] + c[::-1] + b"".join(rest)


TABLE = _guid("96b582de-1fb2-45f7-baea-a366c55a082d")
METADATA = _guid("dc886566-984a-4798-a75e-5585a7bf67cc")
RESET_BLOCK = _guid("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
# types of OVMF's sections: memory for SEC, secrets, CPUID, SVSM's calling area,
# kernel hashes (none given: zeros)
SECTIONS = {1: ZERO, 2: SECRETS, 3: CPUID, 4: ZERO, 0x10: ZERO}

# CPUID Fn0000_0001 EAX of QEMU's models
SIGNATURES = {"EPYC-v4": 0x00800F12}


def _le(data, at, n):
    return int.from_bytes(data[at:at + n], "little")


class Digest:
    """The chain: each page's description extends what was before it."""

    def __init__(self):
        self.value = bytes(48)

    def page(self, kind, gpa, content=None):
        inner = hashlib.sha384(content).digest() if content is not None \
            else bytes(48)
        info = self.value + inner + (0x70).to_bytes(2, "little") + \
            bytes([kind]) + bytes(5) + gpa.to_bytes(8, "little")
        assert len(info) == 0x70
        self.value = hashlib.sha384(info).digest()


def guid_table(ovmf):
    """{GUID: data} of the table that ends 32 bytes before the image does."""
    def entry(end):
        return ovmf[end - 16:end], _le(ovmf, end - 18, 2)
    end = len(ovmf) - 32
    guid, size = entry(end)
    if guid != TABLE or size > end:
        raise ValueError("the firmware has no table of GUIDs")
    first, out = end - size, {}
    end -= 18
    while end - 18 >= first:
        guid, size = entry(end)
        if size < 18 or size > end - first:
            raise ValueError("the firmware's table of GUIDs is damaged")
        out[guid] = ovmf[end - size:end - 18]
        end -= size
    return out


def sections(ovmf):
    """(gpa, bytes, page type) in the order of the metadata."""
    at = len(ovmf) - _le(guid_table(ovmf)[METADATA], 0, 4)
    if ovmf[at:at + 4] != b"ASEV":
        raise ValueError("the firmware has no SEV metadata")
    for i in range(_le(ovmf, at + 12, 4)):
        row = at + 16 + 12 * i
        yield _le(ovmf, row, 4), _le(ovmf, row + 4, 4), \
            SECTIONS[_le(ovmf, row + 8, 4)]


def vmsa(reset, signature, features=0):
    """The first state of a vCPU, which starts at the address @reset.
    features: SEV_FEATURES beside SNP's own."""
    page = bytearray(PAGE)

    def put(at, n, value):
        page[at:at + n] = value.to_bytes(n, "little")

    def segment(at, attributes, selector=0, base=0):
        put(at, 2, selector)
        put(at + 2, 2, attributes)
        put(at + 4, 4, 0xFFFF)
        put(at + 8, 8, base)
    for at in (0x00, 0x20, 0x30, 0x40, 0x50):           # ES SS DS FS GS
        segment(at, 0x93)
    segment(0x10, 0x9B, 0xF000, reset & 0xFFFF0000)     # CS
    segment(0x60, 0)                                    # GDTR
    segment(0x70, 0x82)                                 # LDTR
    segment(0x80, 0)                                    # IDTR
    segment(0x90, 0x8B)                                 # TR
    for at, n, value in (
            (0x0D0, 8, 0x1000),                         # EFER
            (0x148, 8, 0x40), (0x158, 8, 0x10),         # CR4, CR0
            (0x160, 8, 0x400), (0x168, 8, 0xFFFF0FF0),  # DR7, DR6
            (0x170, 8, 2), (0x178, 8, reset & 0xFFFF),  # RFLAGS, RIP
            (0x268, 8, 0x0007040600070406),             # PAT
            (0x310, 8, signature),                      # RDX
            (0x3B0, 8, 1 | features),                   # SEV_FEATURES
            (0x3E8, 8, 1),                              # XCR0
            (0x408, 4, 0x1F80), (0x410, 2, 0x37F)):     # MXCSR, FCW
        put(at, n, value)
    return bytes(page)


def launch(ovmf, smp, model="EPYC-v4", features=0):
    """48 bytes: what SNP_LAUNCH_FINISH finds."""
    d = Digest()
    flash = (1 << 32) - len(ovmf)
    for at in range(0, len(ovmf), PAGE):
        d.page(NORMAL, flash + at, ovmf[at:at + PAGE])
    for gpa, size, kind in sections(ovmf):
        for at in range(0, size, PAGE):
            d.page(kind, gpa + at)
    others = _le(guid_table(ovmf)[RESET_BLOCK], 0, 4)
    for cpu in range(smp):
        d.page(VMSA, VMSA_GPA, vmsa(others if cpu else 0xFFFFFFF0,
                                    SIGNATURES[model], features))
    return d.value
