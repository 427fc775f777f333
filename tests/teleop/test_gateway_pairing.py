"""One-time codes: worth the token once, for half an hour, and not to be guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from teleop.gateway.api import Api
from teleop.gateway.app import build_app
from teleop.gateway.pairapi import PairingApi
from teleop.gateway.pairing import (
    GUESSES,
    MAX_CODES,
    MINUTE_NS,
    VALID_NS,
    Pairing,
    TooManyGuessesError,
    new_code,
    tidy,
)
from teleop.system import page_urls
from tests.teleop.gateway_rig import TOKEN, make_rig


def test_a_code_is_good_once() -> None:
    pairing = Pairing()
    code = pairing.make(0)
    assert pairing.redeem(f" {code[:4].lower()}-{code[4:]} ", 1)
    assert not pairing.redeem(code, 2)


def test_a_code_is_good_for_half_an_hour() -> None:
    pairing = Pairing()
    first, second = pairing.make(0), pairing.make(0)
    assert pairing.redeem(first, VALID_NS - 1)
    assert not pairing.redeem(second, VALID_NS)


def test_codes_cannot_be_guessed_faster_than_mistyped() -> None:
    pairing = Pairing()
    code = pairing.make(0)
    for k in range(GUESSES):
        assert not pairing.redeem("AAAA2222", k)
    with pytest.raises(TooManyGuessesError):
        pairing.redeem(code, GUESSES)
    assert pairing.redeem(code, MINUTE_NS + GUESSES), "after a minute the right one opens again"


def test_codes_that_are_never_used_do_not_pile_up() -> None:
    pairing = Pairing()
    codes = [pairing.make(0) for _ in range(3 * MAX_CODES)]
    assert sum(pairing.redeem(code, 1) for code in codes[-MAX_CODES:]) == MAX_CODES
    assert not pairing.redeem(codes[0], 1)


@given(st.text(max_size=40))
def test_no_other_text_is_a_code(text: str) -> None:
    pairing = Pairing()
    code = pairing.make(0)
    assert pairing.redeem(text, 1) == (tidy(text) == code)


def test_codes_have_no_letters_that_look_alike() -> None:
    letters = {letter for _ in range(200) for letter in new_code()}
    assert not letters & set("01ILOU")


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    rig = make_rig(tmp_path)
    pairing = PairingApi(Pairing(), TOKEN, "https://10.0.0.5:8765")
    return TestClient(build_app(rig.hub, Api(rig.hub, tmp_path, None, pairing)))


def test_the_console_gets_a_code_and_a_headset_the_token_for_it(client: TestClient) -> None:
    assert client.post("/api/pairing").status_code == 401, "codes are for who has the token"
    made = client.post("/api/pairing", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert made["url"] == f"https://10.0.0.5:8765/xr#code={made['code']}"
    assert made["svg"].startswith("<svg")
    assert 'fill="#fff"' in made["svg"], "a dark page must not swallow a dark picture"
    answer = client.post("/api/pairing/redeem", json={"code": made["code"]})
    assert answer.json() == {"token": TOKEN}
    again = client.post("/api/pairing/redeem", json={"code": made["code"]})
    assert again.status_code == 403
    assert "new one" in again.json()["error"]


def test_what_is_no_code_is_refused_in_words_and_a_flood_is_slowed(client: TestClient) -> None:
    assert client.post("/api/pairing/redeem", content=b"{").status_code == 400
    assert client.post("/api/pairing/redeem", json={"code": "x" * 100}).status_code == 400
    codes = [client.post("/api/pairing/redeem", json={"code": "2"}).status_code for _ in range(7)]
    assert codes == [403] * GUESSES + [429] * (7 - GUESSES)


def test_the_printed_code_replaces_the_token_for_headsets_only() -> None:
    urls = page_urls("http://127.0.0.1:8765", "secret", code="AB23CD45")
    assert urls["headset"] == "http://127.0.0.1:8765/xr#code=AB23CD45"
    assert urls["console"].endswith("#token=secret")
