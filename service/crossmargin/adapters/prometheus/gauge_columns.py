"""Gauges of many accounts as columns: their labels are written once, their values are bare numbers, and no sample is an object."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Final, TypeAlias, TypeVar

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.samples import Sample

from crossmargin.adapters.prometheus.exposition_text import label_text, number_text
from crossmargin.adapters.prometheus.giving_way import SLICE, giving_way
from crossmargin.domain.identifiers import AccountRef

Figure = TypeVar("Figure")

_KNOWN_OWNERS: Final = 16_384


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """The labels of an account or a client, and what they are in the text that Prometheus reads, up to the brace that ends it."""

    labels: Mapping[str, str]
    open_text: str


@lru_cache(_KNOWN_OWNERS)
def client_labels(client: str) -> OwnLabels:
    """Return the labels of a client."""
    return OwnLabels({"client": client}, label_text({"client": client})[:-1])


@lru_cache(_KNOWN_OWNERS)
def account_labels(client: str, account: str) -> OwnLabels:
    """Return the labels of an account. They are the same in every family and in every house run, and made once."""
    labels = {"client": client, "account": account}
    return OwnLabels(labels, label_text(labels)[:-1])


Labelled: TypeAlias = Sequence[tuple[OwnLabels, Figure]]
"""A figure for each account, looked up once: hashing the name of an account for every gauge costs as much as writing it."""


@dataclass(frozen=True, slots=True)
class GaugeColumn:
    """A value for each of many accounts, with their own labels and some that all of them share."""

    owners: Sequence[OwnLabels]
    values: array[float]
    shared: Mapping[str, str]

    def samples(self, name: str) -> Iterator[Sample]:
        """Yield the column as the library has it."""
        for owner, value in zip(self.owners, self.values, strict=True):
            yield Sample(name, {**owner.labels, **self.shared}, value)

    def text(self, name: str) -> Iterator[str]:
        """Yield the column as Prometheus reads it, some lines at once; the caller may pause between them."""
        shared = label_text(self.shared)
        end = f",{shared[1:]}" if shared else "}"
        for start in range(0, len(self.values), SLICE):
            owners, values = self.owners[start : start + SLICE], self.values[start : start + SLICE]
            numbers = map(repr if all(map(isfinite, values)) else number_text, values)
            yield "".join([f"{name}{owner.open_text}{end} {number}\n" for owner, number in zip(owners, numbers, strict=True)])


class ColumnFamily(GaugeMetricFamily):
    """A gauge family whose samples are columns. Who asks for `samples` gets them as the library has them, made anew each time.

    A house of a thousand accounts has twenty thousand samples. As objects they cost more than their text does, again when the garbage
    collector walks over them while nothing else runs, and again when the next run takes their place.
    """

    def __init__(self, name: str, documentation: str, columns: Sequence[GaugeColumn]) -> None:
        super().__init__(name, documentation)
        self._columns = columns

    @property
    def samples(self) -> list[Sample]:
        """Every sample of every column."""
        return [sample for column in self._columns for sample in column.samples(self.name)]

    @samples.setter
    def samples(self, given: list[Sample]) -> None:
        """The library's constructor begins with no samples; columns are all there is."""

    def text(self) -> Iterator[str]:
        """Yield every sample as Prometheus reads it, some lines at once; the caller may pause between them."""
        for column in self._columns:
            yield from column.text(self.name)


def column_of(figures: Labelled[Figure], read: Callable[[Figure], float | None], **shared: str) -> GaugeColumn:
    """Return what is read of each account; an account of which None is read is not in the column."""
    read_of = [(labels, value) for labels, figure in giving_way(figures) if (value := read(figure)) is not None]
    return GaugeColumn([labels for labels, _ in read_of], array("d", [value for _, value in read_of]), shared)


def labelled(figures: Mapping[AccountRef, Figure], shown: frozenset[str]) -> Labelled[Figure]:
    """Return the figures of shown clients with the labels of their accounts, by client and account."""
    kept = sorted((ref.client_id, ref.account_id, ref) for ref in giving_way(figures) if ref.client_id in shown)
    return [(account_labels(client, account), figures[ref]) for client, account, ref in giving_way(kept)]
