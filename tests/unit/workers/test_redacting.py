"""What never goes into a prompt, and what stays in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.narrating.redacting import MARK, MOST_CHARACTERS, printable, redacted

SECRETS = (
    "sk-abcdefghijklmnop1234",
    "ghp_ABCDEFGHIJKLMNOP0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sflKxwRJSM",
    "anna.smith+x@mail.example.co.uk",
    "192.168.17.4:9092",
    "fe80:0:0:0:202:b3ff:fe1e:8329",
    "00:1B:44:11:3A:B7",
    "123e4567-e89b-12d3-a456-426614174000",
    "https://bob:hunter2@example.org/x",
    "password=hunter2",
    "api_key: 'abc'",
    "AWS_SECRET_ACCESS_KEY=abc/def",
    "Authorization: Basic dXNlcjpwYXNz",
    "bearer abcdef123456",
    "+49 170 1234567",
    "123-45-6789",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "/home/annasmith",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_and_people_are_left_out(secret: str) -> None:
    found = redacted(f"it moved by {secret}, later")
    assert MARK in found
    assert secret not in found
    assert found.startswith("it moved by ")
    for part in ("hunter2", "annasmith", "dXNlcjpwYXNz", "abc/def"):
        assert part not in found


@pytest.mark.parametrize(
    "harmless",
    [
        "latency of instance yolo-m-0 went from 75.91 to 2129",
        "cpu.used of node edge-1 went from 0.2824 to 0.3975; and 3 more",
        "accuracy.class.7 of service resnet50-fp16",
        "placed anew: score 0.9971 on edge-large",
        "neighbour.edge-3.rtt of link edge-1 - edge-3 went from 2.114 to 133.2",
        "response_latency of app watch went from 1.2e+04 to 99999999",
    ],
)
def test_what_a_diagnosis_says_stays(harmless: str) -> None:
    assert redacted(harmless) == harmless


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60), st.sampled_from(SECRETS), st.text(max_size=60))
def test_no_surroundings_bring_a_secret_through(before: str, secret: str, after: str) -> None:
    found = redacted(f"{before} {secret} {after}")
    assert secret not in found
    assert len(found) <= MOST_CHARACTERS + 1
    assert found.isprintable() or not any(ord(c) < 32 for c in found)


def test_words_of_the_operator_go_in_any_case() -> None:
    assert redacted("Falke, FALKEN", ("falke",)) == f"{MARK}, {MARK}N"
    assert redacted("a.c abc", ("a.c", "")) == f"{MARK} abc"


def test_answers_are_kept_to_lines_that_a_terminal_may_show() -> None:
    assert printable("a\x1b[2Jb\r\n\u202ec\n\n", 100) == "a [2Jb\n c"
    assert printable("x" * 50, 10) == "x" * 10
