"""Issuance: an authority's folder and the MeshConfig in, the store's identity out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from support.authorities import NOW, YEAR, issuer, pem
from support.objects import SYSTEM, mesh_config
from support.samples import sample
from towpath.ca.issuance import Issuance
from towpath.model.codes import Code
from towpath.model.identity import Leaf, slot_of
from towpath.model.mesh import Mesh
from towpath.model.meshconfig import MeshConfig
from towpath.model.names import Account, Kind, ObjectRef
from towpath.settings import MeshSettings
from towpath.store import Store
from towpath.telemetry.metrics import Metrics

ROOT, OTHER = issuer(), issuer()
WEB = Account("shop", "web")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECRET = ObjectRef("Secret", SYSTEM, "towpath-ca")


class Replica:
    """One server's store and issuance, at a time that the test sets."""

    def __init__(self, folder: Path, *, random_keys: bool = False) -> None:
        self.now = NOW
        self.folder = folder
        self.changes = 0
        self.metrics = Metrics()
        self.store = Store(MeshSettings().scope, on_change=self._changed, needs_identity=True)
        self.issuance = Issuance(
            folder,
            self.store,
            ref=SECRET,
            osm_namespace=SYSTEM,
            trust_domain="cluster.local",
            random_keys=random_keys,
            metrics=self.metrics,
            clock=self._time,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _time(self) -> datetime:
        return self.now

    def configure(self, validity: timedelta | None = None) -> None:
        """List every kind; the MeshConfig says *validity*, or there is none."""
        configs = () if validity is None else (_config(validity),)
        self.store.replace_all(Kind.MESH_CONFIG, configs)
        for kind in Kind:
            self.store.listed(kind)

    def look(self, after: timedelta = timedelta(0)) -> Mesh:
        self.now += after
        self.issuance.look()
        return self.store.drain()[0]

    def leaf(self, after: timedelta = timedelta(0)) -> Leaf:
        leaf = self.look(after).leaf(WEB)
        assert leaf is not None
        return leaf


def _config(validity: timedelta) -> MeshConfig:
    return replace(mesh_config(), certificate_validity=int(validity.total_seconds()))


def _fill(folder: Path, entries: Mapping[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in entries.items():
        (folder / name).write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _fill(tmp_path / "authority", ROOT.own())
    return tmp_path / "authority"


@pytest.fixture
def replica(folder: Path) -> Replica:
    return Replica(folder)


def test_nothing_is_published_before_the_validity_is_known(replica: Replica) -> None:
    before = replica.look()
    replica.configure(HOUR)
    waiting = replica.store.synced
    leaf = replica.leaf()

    assert before.leaf(WEB) is None
    assert (False, True) == (waiting, replica.store.synced)
    assert HOUR / 2 == leaf.renew_at - (leaf.not_after - HOUR)


def test_without_a_mesh_config_leaves_are_valid_for_a_day(replica: Replica) -> None:
    replica.configure()
    leaf = replica.leaf()

    assert timedelta(days=1, minutes=5) == leaf.not_after - leaf.not_before


def test_two_replicas_and_one_that_starts_later_send_the_same(folder: Path) -> None:
    here, there, later = Replica(folder), Replica(folder), Replica(folder)
    for one in (here, there, later):
        one.configure(HOUR)
    first = here.leaf()
    # There is always some time of a window left: at the next second both are in the same.
    after = min(timedelta(minutes=2), first.renew_at - NOW - timedelta(seconds=1))

    assert first == there.leaf() == later.leaf(after)


def test_a_leaf_is_renewed_when_its_window_is_over_and_no_other_with_it(replica: Replica) -> None:
    replica.configure(HOUR)
    first = replica.leaf()
    just_before = replica.look(first.renew_at - NOW - timedelta(seconds=1))
    replica.issuance.look()
    replica.now += timedelta(seconds=1)
    replica.issuance.look()
    after, touched = replica.store.drain()

    assert first == just_before.leaf(WEB)
    assert {("identity", slot_of(WEB))} == touched
    renewed = after.leaf(WEB)
    assert renewed is not None
    assert first.renew_at == renewed.not_before + timedelta(minutes=5)


def test_looking_again_changes_nothing(replica: Replica) -> None:
    replica.configure(timedelta(days=30))
    replica.look()
    before = replica.changes

    replica.look(timedelta(seconds=1))

    assert before == replica.changes


def test_another_validity_takes_effect(replica: Replica) -> None:
    replica.configure(HOUR)
    replica.look()

    replica.store.apply(replace(mesh_config(), certificate_validity=600))
    leaf = replica.leaf()

    assert timedelta(minutes=15) == leaf.not_after - leaf.not_before
    assert 600 == sample(replica.metrics, "towpath_leaf_validity_seconds")


def test_leaves_that_are_sent_are_good_for_half_their_validity(replica: Replica) -> None:
    replica.configure(HOUR)
    for _ in range(20):
        replica.look(timedelta(minutes=7))
        expiry = sample(replica.metrics, "towpath_leaf_expiry_seconds")
        assert expiry - replica.now.timestamp() >= HOUR.total_seconds() / 2


def test_another_authority_is_taken_into_use(replica: Replica) -> None:
    replica.configure(HOUR)
    first = replica.leaf()

    _fill(replica.folder, OTHER.own(ROOT))
    second, mesh = replica.leaf(), replica.store.drain()[0]

    assert first.private_key != second.private_key
    roots = mesh.roots()
    assert roots is not None
    assert 2 == roots.certificates.count(b"BEGIN")
    assert 2 == sample(replica.metrics, "towpath_authority_reloads_total", result="ok")
    assert OTHER.certificate.not_valid_after_utc.timestamp() == sample(
        replica.metrics, "towpath_authority_expiry_seconds"
    )


@pytest.mark.parametrize("broken", [{}, OTHER.own() | {"ca.key": ROOT.key_pem}])
def test_the_last_good_authority_stays_in_use(
    replica: Replica, broken: Mapping[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    replica.configure(HOUR)
    first = replica.leaf()
    _fill(replica.folder, broken)
    with caplog.at_level(logging.ERROR):
        mesh = replica.look()
        replica.look()
    told = [(p.object, p.message) for p in mesh.problems]

    assert first == mesh.leaf(WEB)
    assert [SECRET] == [ref for ref, _ in told]
    assert [Code.UNUSABLE_AUTHORITY] == [problem.code for problem in mesh.problems]
    assert "the last good one stays in use" in told[0][1]
    assert 1 == len(caplog.messages)
    assert 1 == sample(replica.metrics, "towpath_authority_reloads_total", result="failed")

    _fill(replica.folder, ROOT.own())
    assert () == replica.look().problems
    assert first == replica.leaf()


def test_it_goes_on_renewing_while_the_secret_is_broken(replica: Replica) -> None:
    replica.configure(HOUR)
    first = replica.leaf()
    _fill(replica.folder, {})

    assert first.renew_at <= replica.leaf(HOUR).not_before + timedelta(minutes=5)


def test_a_server_that_starts_with_a_broken_authority_waits_for_a_good_one(
    replica: Replica,
) -> None:
    _fill(replica.folder, {"ca.crt": b"garbage"})
    replica.configure(HOUR)
    mesh = replica.look()

    assert mesh.leaf(WEB) is None
    assert not replica.store.synced
    assert "nothing is published: ca.crt holds no certificate" in mesh.problems[0].message

    _fill(replica.folder, ROOT.own())
    replica.leaf()
    assert replica.store.synced


def test_a_certificate_that_is_not_valid_yet_is_taken_when_it_is(replica: Replica) -> None:
    replica.configure(HOUR)
    first = replica.leaf()
    _fill(replica.folder, issuer(begin=timedelta(minutes=1)).own())

    early = replica.leaf(timedelta(seconds=30))
    late = replica.leaf(timedelta(minutes=1))

    assert first.certificate_chain == early.certificate_chain
    assert first.private_key != late.private_key


def test_a_secrets_volume_is_read_at_one_moment(tmp_path: Path) -> None:
    """As a kubelet exchanges it: entries link into a folder that is replaced whole."""
    folder = tmp_path / "volume"
    folder.mkdir()
    for name, entity in (("..1", ROOT), ("..2", OTHER)):
        _fill(folder / name, entity.own())
    (folder / "..data").symlink_to("..1")
    for entry in ("ca.crt", "ca.key"):
        (folder / entry).symlink_to(f"..data/{entry}")
    replica = Replica(folder)
    replica.configure(HOUR)
    first = replica.leaf()

    (folder / "..new").symlink_to("..2")
    (folder / "..new").replace(folder / "..data")

    assert first.private_key != replica.leaf().private_key
    assert () == replica.look().problems


def test_random_keys_differ_between_replicas_and_stay_the_same_in_one(folder: Path) -> None:
    here, there = (Replica(folder, random_keys=True) for _ in range(2))
    for one in (here, there):
        one.configure(HOUR)

    assert here.leaf() == here.leaf(timedelta(seconds=1))
    assert here.leaf().private_key != there.leaf(timedelta(seconds=1)).private_key


def test_an_entry_without_an_end_is_not_read(replica: Replica) -> None:
    replica.configure(HOUR)
    (replica.folder / "ca.crt").write_bytes(b" " * (2 << 20))

    assert "ca.crt is larger than 1048576 bytes" in replica.look().problems[0].message


@pytest.mark.parametrize("mistake", [False, True])
def test_an_authority_that_expires_while_it_is_in_use_is_a_problem_before_and_after(
    folder: Path, caplog: pytest.LogCaptureFixture, *, mistake: bool
) -> None:
    """Also beside what is wrong with the Secret at that time, and it goes on signing."""
    _fill(folder, issuer(end=30 * DAY).own())
    replica = Replica(folder)
    replica.configure(HOUR)
    replica.look()
    if mistake:
        _fill(folder, {})
    codes = [
        sorted(problem.code for problem in replica.look(after).problems)
        for after in (23 * DAY, timedelta(seconds=1), 6 * DAY, DAY, timedelta(0))
    ]
    now = timedelta(seconds=1)
    mesh = replica.look(now)
    ours = [p for p in mesh.problems if " expired at " in p.message]

    wrong = [Code.UNUSABLE_AUTHORITY] if mistake else []
    soon = [Code.EXPIRING_AUTHORITY, *wrong]
    over = [*wrong, Code.UNUSABLE_AUTHORITY]
    assert [wrong, soon, soon, over, over] == codes
    assert [SECRET] == [problem.object for problem in ours]
    assert f"expired at {(NOW + 30 * DAY).isoformat()}: nobody takes what it signs" in (
        ours[0].message
    )
    told = [record.levelname for record in caplog.records if " expire" in record.message]
    assert ["WARNING", "ERROR"] == told
    assert mesh.leaf(WEB) is not None


def test_what_is_said_of_the_end_changes_nothing_while_nothing_changes(replica: Replica) -> None:
    replica.configure(timedelta(days=30))
    replica.look(YEAR - DAY)
    before = replica.changes
    replica.look(timedelta(seconds=1))

    assert before == replica.changes


def test_no_more_is_said_of_an_authority_that_was_exchanged(replica: Replica) -> None:
    replica.configure(HOUR)
    expired = replica.look(YEAR).problems
    _fill(replica.folder, issuer(end=3 * YEAR).own())

    assert ([Code.UNUSABLE_AUTHORITY], ()) == ([p.code for p in expired], replica.look().problems)


def test_a_short_lived_authority_is_a_problem_in_the_last_quarter_of_its_life(
    folder: Path,
) -> None:
    _fill(folder, issuer(begin=timedelta(0), end=4 * DAY).own())
    replica = Replica(folder)
    replica.configure(HOUR)

    assert () == replica.look(3 * DAY).problems
    assert [Code.EXPIRING_AUTHORITY] == [p.code for p in replica.look(HOUR).problems]


def test_the_end_of_the_root_that_issued_the_chain_counts(folder: Path) -> None:
    root = issuer(end=3 * DAY)
    _fill(folder, issuer(root, end=2 * YEAR).tls(root))
    replica = Replica(folder)
    replica.configure(timedelta(days=30))
    leaf = replica.leaf()
    (problem,) = replica.look().problems

    assert NOW + 3 * DAY == leaf.not_after == replica.issuance.authority_expires_at
    assert (NOW + 3 * DAY).timestamp() == sample(
        replica.metrics, "towpath_authority_expiry_seconds"
    )
    assert Code.EXPIRING_AUTHORITY is problem.code
    assert root.certificate.subject.rfc4514_string() in problem.message


def test_a_renewed_root_lets_leaves_of_the_same_chain_last_longer(folder: Path) -> None:
    root = issuer(end=3 * DAY)
    entries = issuer(root, end=2 * YEAR).tls(root)
    _fill(folder, entries)
    replica = Replica(folder)
    replica.configure(timedelta(days=30))
    short = replica.leaf()
    renewed = issuer(key=root.key, subject=root.certificate.subject, end=YEAR)
    _fill(folder, {**entries, "ca.crt": entries["ca.crt"] + pem(renewed.certificate)})
    long = replica.leaf()

    assert NOW + 3 * DAY == short.not_after
    assert long.not_after > short.not_after
    assert () == replica.look().problems


def test_a_root_that_issued_nothing_of_the_chain_does_not_count(folder: Path) -> None:
    _fill(folder, ROOT.own(issuer(end=DAY)))
    replica = Replica(folder)
    replica.configure(HOUR)

    assert () == replica.look().problems
    assert NOW + YEAR == replica.issuance.authority_expires_at


def test_a_replica_says_whom_it_has_sidecars_trust_and_who_signs(folder: Path) -> None:
    other = issuer(end=YEAR)
    replica = Replica(folder)
    before = replica.issuance.trusted_roots, replica.issuance.signing_certificate
    _fill(folder, ROOT.own(other))
    replica.look()

    shown = {one.certificate.fingerprint(hashes.SHA256()).hex() for one in (ROOT, other)}
    assert ((), "") == before
    assert sorted(shown) == replica.issuance.trusted_roots
    assert ROOT.certificate.fingerprint(hashes.SHA256()).hex() == (
        replica.issuance.signing_certificate
    )
