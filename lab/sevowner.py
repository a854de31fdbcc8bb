# SPDX-License-Identifier: GPL-2.0-or-later
"""What the owners of a SEV platform and of a guest do, with OpenSSL: own the
platform, begin a session with its PDH, compute what the guest measures.
Layouts: SEV API (55766), appendix C, LAUNCH_START, LAUNCH_MEASURE."""

import hashlib
import hmac
import tempfile

from lab import chip, say

LENGTH = 2084
BODY = 0x414
# usages of keys
NONE, OCA, PEK, PDH, CEK = range(0x1000, 0x1005)
ECDSA, ECDH = 2, 3              # with SHA-256
# kinds of packets
SECRET, DATA = 1, 2
# of a public key on P-384, before its 97 bytes
SPKI = bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200")


def word(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def le(n, size=4):
    return n.to_bytes(size, "little")


def public(cert):
    """The key of a certificate, as PEM."""
    point = b"\4" + cert[20:68][::-1] + cert[92:140][::-1]
    return chip.pem("PUBLIC KEY", SPKI + point)


def _integer(number):
    n = number[::-1].lstrip(b"\0") or b"\0"
    n = b"\0" * (n[0] >> 7) + n
    return b"\2" + bytes([len(n)]) + n


def signed(signer, data, numbers):
    """Does OpenSSL take the signature by the key of that certificate?
    numbers: r and s, 72 bytes each."""
    both = _integer(numbers[:48]) + _integer(numbers[72:120])
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key, \
            tempfile.NamedTemporaryFile(suffix=".der") as sig:
        key.write(public(signer))
        key.flush()
        sig.write(b"\x30" + bytes([len(both)]) + both)
        sig.flush()
        try:
            chip.binary(["dgst", "-sha256", "-verify", key.name,
                         "-signature", sig.name], data)
        except say.Failed:
            return False
    return True


def vouches(signer, cert):
    """The same of a certificate, in either place of its signatures."""
    for at in (BODY, BODY + 0x208):
        if word(cert, at) == word(signer, 8) and word(cert, at + 4) == ECDSA:
            return signed(signer, cert[:BODY], cert[at + 8:at + 152])
    return False


def certificate(key, usage, algo):
    """A certificate of a private key, PEM, that nobody has signed."""
    point = chip.point(key)
    body = le(1) + bytes([0, 24]) + bytes(2) + le(usage) + le(algo) + le(2) + \
        point[:48].ljust(72, b"\0") + point[48:].ljust(72, b"\0")
    none = (le(NONE) + bytes(4)).ljust(0x208, b"\0")
    return body.ljust(BODY, b"\0") + none + none


def sign(key, cert, place, usage=OCA):
    """The certificate with one signature more."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
        f.write(key)
        f.flush()
        der = chip.binary(["dgst", "-sha256", "-sign", f.name], cert[:BODY])
    r, s = chip.numbers(der)
    one = le(usage) + le(ECDSA) + r.ljust(72, b"\0") + s.ljust(72, b"\0")
    at = BODY + 0x208 * place
    return cert[:at] + one.ljust(0x208, b"\0") + cert[at + 0x208:]


def _shared(key, cert):
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as own, \
            tempfile.NamedTemporaryFile("w", suffix=".pem") as other:
        own.write(key)
        own.flush()
        other.write(public(cert))
        other.flush()
        return chip.binary(["pkeyutl", "-derive", "-inkey", own.name,
                            "-peerkey", other.name], b"")


def _mac(key, data):
    return hmac.digest(key, data, "sha256")


def _derive(root, label, context=b""):
    return _mac(root, le(1) + label + b"\0" + context + le(128))[:16]


def _ctr(key, iv, data):
    return chip.binary(["enc", "-aes-128-ctr", "-K", key.hex(), "-iv",
                        iv.hex()], data)


def _session_keys(key, cert, nonce):
    """What wraps a session's keys, and what authenticates them."""
    master = _derive(_shared(key, cert), b"sev-master-secret", nonce)
    return [_derive(master, x) for x in (b"sev-kek", b"sev-kik")]


class Keys:
    """Of transport and integrity."""

    def __init__(self, both):
        self.tek, self.tik = both[:16], both[16:]

    def _packet_mac(self, kind, head, packet, measurement):
        size = le(len(packet))
        return _mac(self.tik, bytes([kind]) + head + size + size + packet +
                    measurement)

    def packet(self, kind, text, measurement=b""):
        """Header and packet; a secret's is of a guest that was measured so."""
        iv = chip.take(chip.stream("a guest's owner", "secret"), 16)
        packet, head = _ctr(self.tek, iv, text), bytes(4) + iv
        return head + self._packet_mac(kind, head, packet, measurement), packet

    def open(self, header, packet):
        """What is in a packet of memory; None: it is not authentic."""
        if self._packet_mac(DATA, header[:20], packet, b"") != header[20:]:
            return None
        return _ctr(self.tek, header[4:20], packet)


class Session(Keys):
    """Of a guest's owner with the platform whose PDH that is."""

    def __init__(self, pdh, policy, seed="a guest's owner"):
        key = chip.p384(seed, "dh")
        random = chip.stream(seed, "session")
        nonce, iv = chip.take(random, 16), chip.take(random, 16)
        super().__init__(chip.take(random, 32))
        self.policy = policy
        self.cert = certificate(key, PDH, ECDH)
        kek, kik = _session_keys(key, pdh, nonce)
        wrapped = _ctr(kek, iv, self.tek + self.tik)
        self.data = nonce + wrapped + iv + _mac(kik, wrapped) + \
            _mac(self.tik, le(policy))

    def measurement(self, version, content, nonce):
        """version: API major, minor, build; content: all that was launched."""
        return _mac(self.tik, b"\4" + bytes(version) + le(self.policy) +
                    hashlib.sha256(content).digest() + nonce)

    def secret(self, text, measurement):
        """Header and packet for LAUNCH_UPDATE_SECRET of a guest that was
        measured so."""
        return self.packet(SECRET, text, measurement)


class Platform:
    """One that guests are sent to, with certificates as a real one has."""

    def __init__(self, seed):
        oca, pek, cek, self._key = (chip.p384(seed, x) for x in
                                    ("oca", "pek", "cek", "pdh"))
        owner = sign(oca, certificate(oca, OCA, ECDSA), 0)
        self.pdh = sign(pek, certificate(self._key, PDH, ECDH), 0, PEK)
        self.chain = sign(cek, sign(oca, certificate(pek, PEK, ECDSA), 0), 1,
                          CEK) + owner + certificate(cek, CEK, ECDSA)

    def receive(self, sender, session, policy):
        """The Keys of a session that the platform with that PDH has begun;
        None: it is not authentic, or of another policy."""
        nonce, wrapped, iv = session[:16], session[16:48], session[48:64]
        kek, kik = _session_keys(self._key, sender, nonce)
        keys = Keys(_ctr(kek, iv, wrapped))
        good = session[64:96] == _mac(kik, wrapped) and \
            session[96:] == _mac(keys.tik, le(policy))
        return keys if good else None
