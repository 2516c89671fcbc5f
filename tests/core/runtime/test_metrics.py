"""Metrics: one registry a program, and the text that Prometheus reads."""

import pytest

from keyweave_core.runtime.metrics import Metrics


def test_what_was_counted_is_shown() -> None:
    metrics = Metrics()
    requests = metrics.counter("requests", "Requests answered.", ["method", "status"])
    requests.labels("enc_keys", "200").inc(3)
    metrics.gauge("stored_keys", "Keys on hand.").set(7)
    metrics.delays("first_key_seconds", "Request to first key.").observe(0.09)
    text = metrics.render().decode()
    assert 'keyweave_requests_total{method="enc_keys",status="200"} 3.0' in text
    assert "keyweave_stored_keys 7.0" in text
    assert 'keyweave_first_key_seconds_bucket{le="0.1"} 1.0' in text
    assert 'keyweave_first_key_seconds_bucket{le="0.05"} 0.0' in text


def test_two_programs_in_one_process_do_not_mix() -> None:
    first, second = Metrics(), Metrics()
    first.counter("x", "X.").inc()
    second.counter("x", "X.")
    assert "keyweave_x_total 0.0" in second.render().decode()


def test_a_name_is_made_once() -> None:
    metrics = Metrics()
    metrics.gauge("x", "X.")
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.gauge("x", "X.")
