"""PEM files, judged before gRPC gets them."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pki import Authority

from portcall.errors import ConfigurationError
from portcall.wire import certificates
from portcall.wire.certificates import read_authorities, read_identity, system_authorities


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def test_pair_is_read_as_it_is(authority: Authority) -> None:
    issued = authority.issue()
    identity = read_identity(issued.cert, str(issued.key))
    assert (identity.chain, identity.key) == (issued.cert.read_bytes(), issued.key.read_bytes())
    assert "PRIVATE" not in repr(identity)


def test_pair_that_does_not_belong_together_is_refused(authority: Authority) -> None:
    with pytest.raises(ConfigurationError, match="the key is another certificate's"):
        read_identity(authority.issue().cert, authority.issue().key)


def test_files_in_the_wrong_place_are_refused(authority: Authority) -> None:
    issued = authority.issue()
    with pytest.raises(ConfigurationError, match=r"\.key has no certificate in PEM form"):
        read_identity(issued.key, issued.cert)
    with pytest.raises(ConfigurationError, match=r"\.pem has no key in PEM form"):
        read_identity(issued.cert, issued.cert)


def test_certificate_that_is_cut_off_is_refused(authority: Authority) -> None:
    issued = authority.issue()
    issued.cert.write_bytes(issued.cert.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match="one of them is broken"):
        read_identity(issued.cert, issued.key)


def test_encrypted_key_is_refused_without_asking_for_its_password(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue()
    key = serialization.load_pem_private_key(issued.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigurationError, match="the key is encrypted, which it must not be"):
        read_identity(issued.cert, locked)


@pytest.mark.parametrize("name", ["cert", "key"])
def test_file_that_is_not_there_is_named(authority: Authority, tmp_path: Path, name: str) -> None:
    issued = authority.issue()
    paths = {"cert": issued.cert, "key": issued.key, name: tmp_path / "nope"}
    with pytest.raises(ConfigurationError, match=f"cannot read .*{tmp_path / 'nope'}: No such file"):
        read_identity(**paths)


def test_pair_that_changes_while_it_is_read_is_read_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = authority.issue(), authority.issue()
    judge = certificates._judge_pair
    judged: list[str | None] = []

    def judge_and_replace(*paths: Path) -> str | None:
        if not judged:
            old.key.write_bytes(new.key.read_bytes())
        judged.append(judge(*paths))
        if len(judged) == 1:
            old.cert.write_bytes(new.cert.read_bytes())
        return judged[-1]

    monkeypatch.setattr(certificates, "_judge_pair", judge_and_replace)
    assert read_identity(old.cert, old.key).chain == new.cert.read_bytes()
    assert judged == ["the key is another certificate's", None]


def test_authorities_are_read_as_they_are(authority: Authority) -> None:
    assert read_authorities(authority.ca) == authority.ca.read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_file_without_a_certificate_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="has no certificate in PEM form"):
        read_authorities(file)


def test_bundle_of_the_system_can_be_named(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(authority.ca))
    assert system_authorities() == authority.ca.read_bytes()
