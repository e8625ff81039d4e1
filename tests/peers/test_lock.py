"""The lock file: whole, and of no particular registry."""

from __future__ import annotations

import msgspec

from tests.peers.needs import HERE


def test_lock_file_pins_every_package_by_hash_and_names_no_registry() -> None:
    octets = (HERE / "package-lock.json").read_bytes()
    lock = msgspec.json.decode(octets, type=dict[str, object])
    packages = lock["packages"]
    assert isinstance(packages, dict)
    locked = {name: package for name, package in packages.items() if name}
    assert locked.keys() >= {"node_modules/smpp", "node_modules/sms-segments-calculator"}
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert not any("resolved" in package for package in locked.values())
