"""Snapshot: the resources one sidecar is to hold, each with a version that is a hash of content.

Snapshots of different sidecars share most of their content, so a type's resources are kept in
layers: a layer is encoded, hashed and compared once, however many snapshots hold it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from operator import attrgetter
from typing import Protocol

from towpath.model.types import ENDPOINTS, SECRET


def content_hash(*parts: bytes) -> str:
    """Hash of the parts in order, as 20 hexadecimal digits; each part's length counts."""
    digest = blake2b(digest_size=10)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One encoded resource: `packed` is the serialized google.protobuf.Any that carries it."""

    type_url: str
    name: str
    version: str
    packed: bytes = field(repr=False)

    @classmethod
    def of(cls, type_url: str, name: str, packed: bytes) -> Resource:
        return cls(type_url, name, content_hash(type_url.encode(), packed), packed)

    def without_bytes(self) -> Resource:
        """What tells this content from others, and nothing else of it."""
        return Resource(self.type_url, self.name, self.version, b"")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resource) and (self.name, self.version) == (
            other.name,
            other.version,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.version))


class Layer(Mapping[str, Resource]):
    """Resources of one type by name, sorted by name; equal when names and versions are equal."""

    def __init__(self, resources: tuple[Resource, ...] = ()) -> None:
        self._by_name = {r.name: r for r in sorted(resources, key=attrgetter("name"))}
        if len(self._by_name) != len(resources):
            raise ValueError("two resources of one type have the same name")

    @cached_property
    def version(self) -> str:
        return content_hash(*(f"{r.name}\0{r.version}".encode() for r in self._by_name.values()))

    def __getitem__(self, name: str) -> Resource:
        return self._by_name[name]

    @cached_property
    def size(self) -> int:
        """Bytes of all resources; of those that are filled in, before that."""
        return sum([len(resource.packed) for resource in self._by_name.values()])

    def find(self, name: str) -> Resource | None:
        """The resource of that name; None if there is none."""
        return self._by_name.get(name)

    def missing(self, names: frozenset[str]) -> frozenset[str]:
        """Those of *names* under which there is nothing."""
        return names.difference(self._by_name)

    def items(self) -> ItemsView[str, Resource]:
        return self._by_name.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)


class Filled(Resource):
    """A resource whose bytes are put together when they are asked for: of many that share most of
    them, each keeps what is its own. Its version is made of the parts' versions.
    """

    __slots__ = ("_fill",)
    _fill: Callable[[], bytes]

    def __init__(self, of: Resource, version: str, fill: Callable[[], bytes]) -> None:
        for name, value in (("type_url", of.type_url), ("name", of.name), ("version", version)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_fill", fill)

    @property
    def packed(self) -> bytes:
        return self._fill()


class FilledLayer(Layer):
    """The resources of another layer, each filled in by *fill* when it is asked for; *version* says
    what all of them are filled with.
    """

    def __init__(self, of: Layer, version: str, fill: Callable[[Resource], Resource]) -> None:
        self._of, self._fill, self._with = of, fill, version

    @cached_property
    def version(self) -> str:
        return content_hash(self._of.version.encode(), self._with.encode())

    @cached_property
    def size(self) -> int:
        return self._of.size

    def __getitem__(self, name: str) -> Resource:
        return self._fill(self._of[name])

    def find(self, name: str) -> Resource | None:
        blank = self._of.find(name)
        return None if blank is None else self._fill(blank)

    def missing(self, names: frozenset[str]) -> frozenset[str]:
        return self._of.missing(names)

    def items(self) -> ItemsView[str, Resource]:
        return ItemsView(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


class ResourceSet(Mapping[str, Resource]):  # noqa: PLW1641 (no Mapping has a hash)
    """All resources of one type that one sidecar is to hold, as layers without common names."""

    def __init__(self, type_url: str, layers: tuple[Layer, ...] = ()) -> None:
        self.type_url = type_url
        self.layers = tuple(layer for layer in layers if layer)
        # Most names are in the largest layer: it is looked at first.
        self._by_size = tuple(sorted(self.layers, key=len, reverse=True))

    @cached_property
    def version(self) -> str:
        """Hash of the type URL and of every name and version."""
        layers = sorted(layer.version for layer in self.layers)
        return content_hash(self.type_url.encode(), *(v.encode() for v in layers))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name, in the order of the layers."""
        return tuple(self)

    def __getitem__(self, name: str) -> Resource:
        resource = self.find(name)
        if resource is None:
            raise KeyError(name)
        return resource

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(name) is not None

    def find(self, name: str) -> Resource | None:
        """The resource of that name; None if there is none."""
        for layer in self._by_size:
            resource = layer.find(name)
            if resource is not None:
                return resource
        return None

    def among(self, names: Iterable[str]) -> list[Resource]:
        """What there is under *names*."""
        present = map(self.find, names)
        return [resource for resource in present if resource is not None]

    def missing(self, names: frozenset[str]) -> frozenset[str]:
        """Those of *names* under which there is nothing."""
        for layer in self.layers:
            names = layer.missing(names)
        return names

    def __iter__(self) -> Iterator[str]:
        for layer in self.layers:
            yield from layer

    def __len__(self) -> int:
        return sum(map(len, self.layers))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ResourceSet):
            return not self.changed_since(other)
        return super().__eq__(other)

    def changed_since(self, old: ResourceSet) -> frozenset[str]:
        """Names whose resource was added, removed, or has another version than in *old*."""
        if self is old or self.layers == old.layers:
            return frozenset()
        mine, theirs = set(self.layers), set(old.layers)
        return _differences.between(frozenset(mine - theirs), frozenset(theirs - mine))


class _Differences:
    """Names that differ between two groups of layers, of which many sets may be made: the latest
    pairs are remembered by the layers' versions, and none of their resources is.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = {}

    def between(self, new: frozenset[Layer], old: frozenset[Layer]) -> frozenset[str]:
        pair = frozenset([one.version for one in new]), frozenset([one.version for one in old])
        names = self._names.get(pair)
        if names is None:
            if len(self._names) >= self._most:
                del self._names[next(iter(self._names))]
            names = self._names[pair] = _differing(new, old)
        return names


def _differing(new: frozenset[Layer], old: frozenset[Layer]) -> frozenset[str]:
    after, before = _by_name(new), _by_name(old)
    # Most of what is in both is the same object, which need not be compared.
    there = {n for n, r in after.items() if (b := before.get(n)) is not r and b != r}
    return frozenset(there | (before.keys() - after.keys()))


def _by_name(layers: Iterable[Layer]) -> dict[str, Resource]:
    return {name: resource for layer in layers for name, resource in layer.items()}


_differences = _Differences(most=256)


class Vocabulary(Protocol):
    """What can be said to one kind of client in place of a resource that is gone or blocked.

    A vocabulary is a value: equal ones say the same.
    """

    @property
    def kept(self) -> frozenset[str]:
        """Types of which a client keeps what is gone, since it leads to nothing, or is in use as
        long as it is asked for.
        """

    def revoked(self, type_url: str, name: str, /) -> Resource | None:
        """What to send in place of a resource that is gone, if leaving it out would leave the
        client's old one in force; else None.
        """

    def closed(self, type_url: str, name: str, /) -> Resource | None:
        """The resource of that name that lets nothing through; None for a type that has none."""

    def intersection(self, before: Resource, after: Resource, /) -> Resource | None:
        """What both let through (the meet), made of parts of *before* that *after* has too, so that
        it refers to nothing that *after* does not refer to; None if there is no such resource.
        """

    def forbidden(self, type_url: str, name: str, /) -> str | None:
        """Why a name that may exist elsewhere is not for this client; None if it may be."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Silence:
    """The vocabulary without a word for anything: what is gone or blocked is left out."""

    kept: frozenset[str] = frozenset()

    def revoked(self, _type_url: str, _name: str) -> Resource | None:
        return None

    def closed(self, _type_url: str, _name: str) -> Resource | None:
        return None

    def intersection(self, _before: Resource, _after: Resource) -> Resource | None:
        return None

    def forbidden(self, _type_url: str, _name: str) -> str | None:
        return None


SILENCE = Silence()


@dataclass(slots=True)
class _Whole:
    """The latest of a snapshot with other endpoints."""

    endpoints: ResourceSet | None = None
    latest: Snapshot | None = None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What one sidecar is to hold, by type URL, and the vocabulary of its kind of client.

    Endpoints come and go all the time, and many sidecars share them: they may be apart, as those of
    these *destinations*, and are added by `with_endpoints`.
    """

    sets: Mapping[str, ResourceSet]
    vocabulary: Vocabulary = SILENCE
    destinations: Hashable = None

    def of(self, type_url: str) -> ResourceSet:
        resources = self.sets.get(type_url)
        return ResourceSet(type_url) if resources is None else resources

    def without(self, type_url: str) -> Snapshot:
        """The same without any resource of that type, one object; itself if there is none."""
        if type_url not in self.sets:
            return self
        other = self._without.get(type_url)
        if other is None:
            sets = {t: of for t, of in self.sets.items() if t != type_url}
            other = Snapshot(sets, self.vocabulary, self.destinations)
            self._without[type_url] = other
        return other

    @cached_property
    def _without(self) -> dict[str, Snapshot]:
        return {}

    def left(self, before: Resource | None, type_url: str, name: str) -> Resource | None:
        """What a client is to hold of a resource that is gone; None if it is to be left out.

        It knows the resource as *before*; None, or without bytes, if from before its stream.
        """
        revoked = self.vocabulary.revoked(type_url, name)
        if before is None or type_url not in self.vocabulary.kept:
            return revoked
        return before if before.packed or revoked is None else revoked

    def with_endpoints(self, endpoints: ResourceSet) -> Snapshot:
        """This with just these endpoints: the same object for the same ones, if asked again."""
        if self.sets.get(ENDPOINTS) is endpoints:
            return self
        whole = self._whole
        if whole.endpoints is not endpoints:
            sets = {**self.sets, ENDPOINTS: endpoints}
            whole.endpoints, whole.latest = (
                endpoints,
                Snapshot(sets, self.vocabulary, self.destinations),
            )
            # Its version is the same, and each with other endpoints has the latest with these.
            whole.latest.__dict__.update(version=self.version, size=self.size, _whole=whole)
        assert whole.latest is not None
        return whole.latest

    @cached_property
    def _whole(self) -> _Whole:
        return _Whole()

    @cached_property
    def version(self) -> str:
        """Hash of every type's version but the endpoints'."""
        sets = sorted(item for item in self.sets.items() if item[0] != ENDPOINTS)
        return content_hash(*(f"{t}\0{s.version}".encode() for t, s in sets))

    @cached_property
    def size(self) -> int:
        """Bytes of all but the endpoints and secrets."""
        counted = (s for t, s in self.sets.items() if t not in (ENDPOINTS, SECRET))
        return sum(layer.size for resources in counted for layer in resources.layers)

    def same_but_endpoints(self, other: Snapshot) -> bool:
        """True if all but the endpoints is equal."""
        return self.version == other.version and self.vocabulary == other.vocabulary

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Snapshot) or not self.same_but_endpoints(other):
            return False
        if self.destinations != other.destinations:
            return False  # other endpoints behind the same names
        return self.of(ENDPOINTS).layers == other.of(ENDPOINTS).layers

    def __hash__(self) -> int:
        return hash(self.version)
