# SPDX-License-Identifier: GPL-2.0-or-later
"""A chip for the machine: its identity, secret and VCEKs, the VLEKs that it can
be lent, and the certificates that vouch for them, as AMD's key distribution
service gives them out.

All keys come from a seed, so that a chip made again is the same chip;
certificates are dated and salted and are not. OpenSSL does the rest.
"""

import base64
import hashlib
import hmac
import itertools
import pathlib
import shutil
import subprocess
import tempfile

from lab import lock, needs, paths, say, stamp

PRODUCT = "Milan"           # lab/platform.py's processor
NAME = "Milan-B1"
TCB = 0x4818000000000007    # the device's default
LOWER = 0x4817000000000007  # for SNP_CONFIG
CRL = f"https://kdsintf.amd.com/%s/v1/{PRODUCT}/crl"
CSP = "a cloud provider of the lab"
WHO = ("/OU=Engineering/C=US/L=Santa Clara/ST=CA/O=Advanced Micro Devices"
       "/CN=")
PSS = ["-sha384", "-sigopt", "rsa_padding_mode:pss",
       "-sigopt", "rsa_pss_saltlen:48"]
DAYS = "9125"
# order of the curve P-384
ORDER = int("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
            "581a0db248b0a77aecec196accc52973", 16)
P384_OID = bytes.fromhex("06052b81040022")
# which byte of a TCB version an SPL is, by the last number of its OID
SPLS = {1: 0, 2: 1, 4: 2, 5: 3, 6: 4, 7: 5, 3: 6, 8: 7}
GUIDS = {"ark": "c0b406a4-a803-4952-9743-3fb6014cd0ae",
         "ask": "4ab7b379-bbac-4fe4-a02f-05aef327c782",
         "vcek": "63da758d-e664-4564-adc5-f4b93be8accd",
         "vlek": "a8074bc2-a25a-483e-aae6-39c045a0b8a1"}
# what signs with them; a verifier expects the signer's signer as "ask"
VCEK = {"ark": "ark", "ask": "ask", "vcek": "vcek"}
VLEK = {"ark": "ark", "ask": "asvk", "vlek": "vlek"}


def stream(seed, label):
    """Endless bytes that depend on seed and label only."""
    for n in itertools.count():
        yield from hashlib.sha512(f"{seed}/{label}/{n}".encode()).digest()


def take(source, n):
    return bytes(itertools.islice(source, n))


def _small_primes(limit=4000):
    sieve = bytearray([1]) * limit
    for i in range(2, int(limit ** .5) + 1):
        if sieve[i]:
            sieve[i * i::i] = bytes(len(sieve[i * i::i]))
    return [i for i in range(3, limit) if sieve[i]]


def _probably_prime(n, rounds=24):
    d, s = n - 1, 0
    while not d & 1:
        d, s = d >> 1, s + 1
    for a in _small_primes(100)[:rounds]:
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(source, bits):
    """The next prime a stream gives, its two highest bits set."""
    small = _small_primes()
    n = int.from_bytes(take(source, bits // 8), "big")
    n |= 3 << (bits - 2) | 1
    while any(n % p == 0 for p in small) or (n - 1) % 65537 == 0 or \
            not _probably_prime(n):
        n += 2
    return n


def _der(tag, body):
    n = len(body)
    size = bytes([n]) if n < 128 else \
        (lambda b: bytes([0x80 | len(b)]) + b)(
            n.to_bytes((n.bit_length() + 7) // 8, "big"))
    return bytes([tag]) + size + body


def _integer(n):
    return _der(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def pem(kind, der):
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines,
                      f"-----END {kind}-----", ""])


def rsa(seed, label, bits=4096):
    """A private key as PEM."""
    source = stream(seed, label)
    p, q, e = prime(source, bits // 2), prime(source, bits // 2), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    parts = [0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
    return pem("RSA PRIVATE KEY",
                _der(0x30, b"".join(_integer(x) for x in parts)))


def p384(seed, label):
    """The same of the curve P-384; OpenSSL adds the public half."""
    number = int.from_bytes(take(stream(seed, label), 64), "big")
    scalar = (number % (ORDER - 1) + 1).to_bytes(48, "big")
    der = _der(0x30, _integer(1) + _der(4, scalar) + _der(0xa0, P384_OID))
    return openssl(["ec"], pem("EC PRIVATE KEY", der))


def openssl(argv, text=None):
    needs.openssl()
    r = subprocess.run(["openssl", *map(str, argv)], input=text, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       check=False)
    if r.returncode:
        raise say.Failed(f"openssl {argv[0]}: {r.stderr.strip()[-400:]}")
    return r.stdout


def _ca_extensions(path, depth, chain="vcek"):
    path.write_text("[x]\nbasicConstraints=critical,CA:TRUE" + depth +
                    "\nkeyUsage=critical,keyCertSign,cRLSign\n"
                    "subjectKeyIdentifier=hash\n"
                    f"crlDistributionPoints=URI:{CRL % chain}\n")


def _extensions(path, chip_id, tcb):
    """Of a chip's VCEK, or without one of a provider's VLEK."""
    oid = "1.3.6.1.4.1.3704.1"
    lines = ["[x]", f"{oid}.1=ASN1:INTEGER:1", f"{oid}.2=ASN1:IA5STRING:" +
             (NAME if chip_id else PRODUCT)]
    for last, byte in SPLS.items():
        lines.append(f"{oid}.3.{last}=ASN1:INTEGER:{tcb >> 8 * byte & 0xff}")
    lines.append(f"{oid}.4=DER:" + chip_id.hex(":") if chip_id else
                 f"{oid}.5=ASN1:IA5STRING:{CSP}")
    # verifiers refuse what is not AMD's
    lines += ["subjectKeyIdentifier=none", "authorityKeyIdentifier=none"]
    path.write_text("\n".join(lines) + "\n")


def vcek_name(tcb):
    return f"vcek-{tcb:016x}"


def vlek_name(tcb):
    return f"vlek-{tcb:016x}"


@lock.alone
def make(seed="1", tcbs=(TCB, LOWER)):
    """Returns the directory of the chip of this seed, made if it is not
    there: chip-id, secret, firmware-key, vcek-TCB.pem (the machine reads
    these), vlek-TCB.bin (wrapped for SNP_VLEK_LOAD), and below certs/ ark.pem,
    ask.pem, asvk.pem, vcek.pem, vlek.pem (snphost's names; those of the first
    TCB), vcek-TCB.pem and vlek-TCB.pem of each, ca.pem (ASK, then ARK),
    ca-vlek.pem."""
    top = paths.OUT / "chip" / hashlib.sha256(seed.encode()).hexdigest()[:16]
    key = stamp.digest(seed, list(tcbs), pathlib.Path(__file__))
    name = f"chip.{top.name}"
    certs = top / "certs"
    if stamp.current(name, key, certs / "ca.pem"):
        return top
    stamp.clear(name)
    shutil.rmtree(top, ignore_errors=True)
    work = top / "authority"
    for d in (certs, work):
        d.mkdir(parents=True)
    with say.Step("make the chip's keys and certificates"):
        chip_id = take(stream(seed, "chip-id"), 64)
        (top / "chip-id").write_bytes(chip_id)
        (top / "secret").write_bytes(take(stream(seed, "secret"), 32))
        (top / "firmware-key").write_bytes(point(p384(seed, "firmware")))
        _authority(seed, work, certs)
        for tcb in tcbs:
            own, lent = vcek_name(tcb), vlek_name(tcb)
            (top / f"{own}.pem").write_text(
                _signing(seed, own, work, certs, "ask", chip_id, tcb))
            (top / f"{lent}.bin").write_bytes(hashstick(
                _signing(seed, lent, work, certs, "asvk", None, tcb), tcb,
                (top / "secret").read_bytes(), chip_id,
                take(stream(seed, f"{lent} iv"), 12)))
        shutil.copy(certs / f"{vcek_name(tcbs[0])}.pem", certs / "vcek.pem")
        shutil.copy(certs / f"{vlek_name(tcbs[0])}.pem", certs / "vlek.pem")
        for ca, signer in (("ca", "ask"), ("ca-vlek", "asvk")):
            (certs / f"{ca}.pem").write_text(
                (certs / f"{signer}.pem").read_text() +
                (certs / "ark.pem").read_text())
    stamp.write(name, key)
    return top


def _authority(seed, work, certs):
    for who in ("ark", "ask", "asvk"):
        (work / f"{who}.key").write_text(rsa(seed, who))
    _ca_extensions(work / "ark.ext", "")
    _ca_extensions(work / "ask.ext", ",pathlen:0")
    _ca_extensions(work / "asvk.ext", ",pathlen:0", "vlek")
    for who, name, signer in (("ark", f"ARK-{PRODUCT}", None),
                              ("ask", f"SEV-{PRODUCT}", "ark"),
                              ("asvk", f"SEV-VLEK-{PRODUCT}", "ark")):
        _certificate(work, work / f"{who}.key", WHO + name,
                     work / f"{who}.ext", certs / f"{who}.pem",
                     signer and certs / f"{signer}.pem",
                     work / f"{signer or who}.key", 1 if signer else 0)


def _signing(seed, name, work, certs, signer, chip_id, tcb):
    """A VCEK or, without a chip_id, a VLEK: its certificate, signed by ASK or
    ASVK, is made; returned is the key."""
    key = work / f"{name}.pem"
    key.write_text(p384(seed, name))
    _extensions(work / f"{name}.ext", chip_id, tcb)
    _certificate(work, key, WHO + "SEV-" + name[:4].upper(),
                 work / f"{name}.ext", certs / f"{name}.pem",
                 certs / f"{signer}.pem", work / f"{signer}.key", 0)
    return key.read_text()


def _aes(mode, key, data, iv=None):
    return binary(["enc", f"-aes-256-{mode}", "-nopad", "-K", key.hex(),
                   *(["-iv", iv.hex()] if iv else [])], data)


def gcm(key, iv, aad, text):
    """AES-256-GCM: what it is enciphered to, and the tag; `openssl enc` has
    no modes with one. iv: 12 bytes."""
    h = int.from_bytes(_aes("ecb", key, bytes(16)), "big")

    def times_h(x):
        z, v = 0, h
        for bit in range(127, -1, -1):
            z ^= v * (x >> bit & 1)
            v = v >> 1 ^ 0xe1 << 120 if v & 1 else v >> 1
        return z

    out = _aes("ctr", key, text, iv + (2).to_bytes(4, "big"))
    blocks = b"".join(x + bytes(-len(x) % 16) for x in (aad, out)) + \
        (8 * len(aad)).to_bytes(8, "big") + (8 * len(out)).to_bytes(8, "big")
    s = 0
    for at in range(0, len(blocks), 16):
        s = times_h(s ^ int.from_bytes(blocks[at:at + 16], "big"))
    first = _aes("ecb", key, iv + (1).to_bytes(4, "big"))
    return out, (s ^ int.from_bytes(first, "big")).to_bytes(16, "big")


def hashstick(pem, tcb, secret, chip_id, iv):
    """A VLEK wrapped for one chip, as machine/hw/snp/fw_vlek.c takes it."""
    key = hmac.digest(secret, (1).to_bytes(4, "big") + b"VLEK wrapping key\0" +
                      chip_id + (256).to_bytes(4, "big"), "sha256")
    version = tcb.to_bytes(8, "little")
    wrapped, tag = gcm(key, iv, version, pem.encode().ljust(384, b"\0"))
    return iv + bytes(4) + wrapped + version + bytes(8) + tag


def binary(argv, data):
    r = subprocess.run(["openssl", *argv], input=data, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        raise say.Failed(f"openssl {argv[0]}: "
                         f"{r.stderr.decode().strip()[-400:]}")
    return r.stdout


def point(pem):
    """x and y of the public half, little-endian as all numbers of the ABI."""
    out = binary(["ec", "-pubout", "-outform", "DER"], pem.encode())
    return out[-96:-48][::-1] + out[-48:][::-1]


def numbers(der):
    """r and s of a signature of OpenSSL's, 48 bytes each, little-endian."""
    n = der[3]
    return [x.lstrip(b"\0")[::-1].ljust(48, b"\0")
            for x in (der[4:4 + n], der[6 + n:])]


def firmware(version, tcb, seed="1", mitigations=0, cold=False):
    """An image for DOWNLOAD_FIRMWARE, as machine/hw/snp/fw_download.c takes
    it, for the chip of this seed. version: major, minor, build."""
    head = (b"!SNP_FWE" + (160).to_bytes(4, "little") +
            bytes([*version, int(cold)]) + tcb.to_bytes(8, "little") +
            mitigations.to_bytes(8, "little")).ljust(64, b"\0")
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
        key.write(p384(seed, "firmware"))
        key.flush()
        der = binary(["dgst", "-sha384", "-sign", key.name], head)
    return head + b"".join(numbers(der))


def _certificate(work, key, subject, ext, out, ca, ca_key, serial):
    request = work / (out.stem + ".csr")
    openssl(["req", "-new", "-key", key, "-subj", subject, "-out", request,
             "-sha384"])
    signer = ["-CA", ca, "-CAkey", ca_key] if ca else ["-signkey", ca_key]
    openssl(["x509", "-req", "-in", request, "-out", out, "-days", DAYS,
             "-set_serial", serial, "-extfile", ext, "-extensions", "x",
             *signer, *PSS])


def flipped(data, bit):
    """The same but for one bit, as tests of signatures want it."""
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def der(pem):
    return base64.b64decode("".join(pem.split("-----")[2].split()))


def table(certs):
    """{name: PEM} as the table that extended guest requests give."""
    head, body = b"", b""
    at = 24 * (len(certs) + 1)
    for name, pem in certs.items():
        one = der(pem)
        head += bytes.fromhex(GUIDS[name].replace("-", "")) + \
            (at + len(body)).to_bytes(4, "little") + \
            len(one).to_bytes(4, "little")
        body += one
    return head + bytes(24) + body


def read(top, chain=VCEK):
    """{name: PEM} of the chain."""
    return {n: (top / "certs" / f"{file}.pem").read_text()
            for n, file in chain.items()}
