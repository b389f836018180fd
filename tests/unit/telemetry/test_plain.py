"""Metrics without locks say in a scrape what the library's would."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from towpath.telemetry.plain import PlainCounter, PlainHistogram

BUCKETS = (0.001, 0.5, 1.0)


def test_a_counter_has_its_samples_from_the_start_and_counts() -> None:
    registry = CollectorRegistry()
    counter = PlainCounter("sent", "Sent.", "type", ("cds", "eds"), registry=registry)

    counter.labels("cds").inc()
    counter.labels("cds").inc(41)

    assert 42 == registry.get_sample_value("sent_total", {"type": "cds"})
    assert 0 == registry.get_sample_value("sent_total", {"type": "eds"})


def test_a_histogram_says_what_the_librarys_says() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = PlainHistogram("took", "Took.", buckets=BUCKETS, registry=ours)
    library = Histogram("took", "Took.", buckets=BUCKETS, registry=theirs)

    for value in (0.0005, 0.001, 0.25, 0.5, 0.75, 7.0):
        plain.observe(value)
        library.observe(value)

    expected = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert sorted(expected) == sorted(generate_latest(ours).splitlines())
