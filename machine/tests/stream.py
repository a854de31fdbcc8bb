# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things lie in a file that QEMU saved a machine in: it says so itself,
at its end."""

import json


class Stream:
    """The bytes, to be changed in place, and what they are."""

    def __init__(self, data):
        self.data = bytearray(data)
        start = data.rindex(b'{"configuration"')
        self.devices = {d["name"].rsplit("/", 1)[-1]: d for d in
                        reversed(json.loads(data[start:])["devices"])}

    def _section(self, device):
        """Offset of a device's first byte, behind its header"""
        d = self.devices[device]
        name = d["name"].encode()
        head = (bytes([len(name)]) + name +
                d["instance_id"].to_bytes(4, "big") +
                d["version"].to_bytes(4, "big"))
        return self.data.index(head) + len(head)

    def span(self, device):
        """(offset, bytes) of all that is saved of a device"""
        d = self.devices[device]
        size = sum(map(_size, d["fields"])) + sum(map(_subsection,
                                                      _inner(d)))
        return self._section(device), size

    def find(self, device, path):
        """(offset, bytes) of a field: names, with indexes, joined by "/"; a
        subsection is a name, too"""
        d, at = self.devices[device], self._section(device)
        for part in path.split("/"):
            d, at = _step(d, at, part)
        return at, _size(d)

    def differences(self, other):
        """DEVICE: FIELD of all that is not the same in another"""
        out = [x for x in self.devices if x not in other.devices]
        for name, d in self.devices.items():
            a, b = self.span(name), other.span(name)
            if out or self.data[a[0]:sum(a)] == other.data[b[0]:sum(b)]:
                continue
            for f in [*(x["name"] for x in d["fields"]),
                      *(x["vmsd_name"].split("/", 1)[1] for x in _inner(d))]:
                a, b = self.find(name, f), other.find(name, f)
                if self.data[a[0]:sum(a)] != other.data[b[0]:sum(b)]:
                    out.append(f"{name}: {f}")
        return out

    def put(self, device, path, value):
        """A number, in the field's size, or bytes that it begins with"""
        at, size = self.find(device, path)
        if isinstance(value, int):
            value = value.to_bytes(size, "big")
        self.data[at:at + len(value)] = value


def _inner(d):
    return d.get("subsections", ())


def _subsection(d):
    """Its size, with its header"""
    return (6 + len(d["vmsd_name"]) + sum(map(_size, d["fields"])) +
            sum(map(_subsection, _inner(d))))


def _size(field):
    if "size" not in field:
        return sum(map(_size, field["fields"]))
    return field["size"] * field.get("array_len", 1)


def _step(d, at, part):
    d = d.get("struct", d)
    name, _, index = part.rstrip("]").partition("[")
    for f in d["fields"]:
        if f["name"] == part:
            return f, at
        if f["name"] == name and index and int(index) < f.get("array_len", 1):
            one = {k: v for k, v in f.items() if k != "array_len"}
            return one, at + int(index) * f["size"]
        at += _size(f)
    for s in _inner(d):
        if s["vmsd_name"].endswith("/" + part):
            return s, at + 6 + len(s["vmsd_name"])
        at += _subsection(s)
    raise KeyError(part)
