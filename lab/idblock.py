# SPDX-License-Identifier: GPL-2.0-or-later
"""An ID block and its authentication, as a guest's owner makes them: what may
be launched, signed by the owner's ID key, and that key by an author key.
Layouts: SNP firmware ABI (56860), SNP_LAUNCH_FINISH."""

import base64
import hashlib
import subprocess
import tempfile

from lab import chip, say


def _run(argv, data):
    r = subprocess.run(["openssl", *argv], input=data, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        raise say.Failed(f"openssl {argv[0]}: {r.stderr.decode().strip()}")
    return r.stdout


def _number(big_endian):
    """As the firmware has it: little-endian, 72 bytes."""
    return big_endian.lstrip(b"\0")[::-1].ljust(72, b"\0")


def public(pem):
    """The firmware's public key structure, 0x404 bytes."""
    der = _run(["ec", "-pubout", "-outform", "DER"], pem.encode())
    return ((2).to_bytes(4, "little") + _number(der[-96:-48]) +
            _number(der[-48:])).ljust(0x404, b"\0")


def sign(pem, data):
    """The firmware's signature structure, 512 bytes."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
        key.write(pem)
        key.flush()
        der = _run(["dgst", "-sha384", "-sign", key.name], data)
    n = der[3]
    r, rest = der[4:4 + n], der[4 + n:]
    return (_number(r) + _number(rest[2:2 + rest[1]])).ljust(512, b"\0")


class Owner:
    """A guest's owner, by a seed."""

    def __init__(self, seed):
        self.id_key = chip.p384(seed, "id key")
        self.author_key = chip.p384(seed, "author key")
        self.family_id = hashlib.md5(f"{seed} family".encode()).digest()
        self.image_id = hashlib.md5(f"{seed} image".encode()).digest()

    def id_key_digest(self):
        return hashlib.sha384(public(self.id_key)).digest()

    def author_key_digest(self):
        return hashlib.sha384(public(self.author_key)).digest()

    def options(self, digest, svn=1, policy=0x30000):
        """Properties of QEMU's sev-snp-guest object."""
        block = digest + self.family_id + self.image_id + \
            (1).to_bytes(4, "little") + svn.to_bytes(4, "little") + \
            policy.to_bytes(8, "little")
        key = public(self.id_key)
        auth = (1).to_bytes(4, "little") * 2 + bytes(56) + \
            sign(self.id_key, block) + key + bytes(60) + \
            sign(self.author_key, key) + public(self.author_key) + bytes(892)
        assert len(block) == 96 and len(auth) == 4096
        text = {"id-block": block, "id-auth": auth}
        return [f"{k}={base64.b64encode(v).decode()}"
                for k, v in text.items()] + ["author-key-enabled=on"]
