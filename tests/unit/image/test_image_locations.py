"""Where a registry may send us, and to whom our credentials belong."""

import pytest

from portcall.image.errors import ImageError
from portcall.image.registry.locations import is_same_origin, location_from

BASE = "https://reg.example"


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        ("https://reg.example/v2/", True),
        ("https://REG.example:443/v2/", True),
        ("http://reg.example/v2/", False),
        ("http://reg.example:443/v2/", False),
        ("https://reg.example:8443/v2/", False),
        ("https://reg.example.evil/v2/", False),
        ("https://reg.example@evil.example/v2/", False),
        ("https://evil.example\\@reg.example/v2/", False),
        ("https://reg.example:port/v2/", False),
        ("https://[reg.example/v2/", False),
        ("", False),
    ],
)
def test_credentials_belong_to_one_origin(url: str, is_same: bool) -> None:
    assert is_same_origin(url, BASE) == is_same


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("/v2/up?state=1", f"{BASE}/v2/up?state=1"),
        ("up", f"{BASE}/v2/app/up"),
        ("https://reg.example/up", "https://reg.example/up"),
        ("http://reg.example/up", "https://reg.example/up"),
        ("http://REG.example/up", "https://REG.example/up"),
        ("https://cdn.example/up", "https://cdn.example/up"),
    ],
)
def test_a_location_means_this(said: str, meant: str) -> None:
    assert location_from(f"{BASE}/v2/app/", said, base=BASE, may_be_plain=False) == meant


@pytest.mark.parametrize("said", ["http://cdn.example/up", "http://reg.example.evil/up", "http://reg.example:80/up"])
def test_plain_http_is_for_registries_that_may_be_plain(said: str) -> None:
    with pytest.raises(ImageError, match=r"reg\.example sends us to http://\S+, unencrypted"):
        location_from(f"{BASE}/v2/app/", said, base=BASE, may_be_plain=False)
    assert location_from(f"{BASE}/v2/app/", said, base=BASE, may_be_plain=True) == said


@pytest.mark.parametrize("said", ["ftp://reg.example/up", "https://[reg.example/up", "https://reg.example:port/up"])
def test_what_is_no_place_of_the_web_is_refused(said: str) -> None:
    with pytest.raises(ImageError, match=r"reg\.example sends us to .*, which is no URL of HTTP"):
        location_from(f"{BASE}/v2/app/", said, base=BASE, may_be_plain=True)
