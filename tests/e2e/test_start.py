"""What mitmdump does when it is started with the addon and nothing else is said."""

from __future__ import annotations

import shutil
import socket
import stat
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.mitmdump import ADDON, Mitmdump

pytestmark = pytest.mark.e2e


def _is_constrained(certificate: Path) -> bool:
    extensions = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    return any(isinstance(extension.value, x509.NameConstraints) for extension in extensions)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The addon in a fresh checkout, as it were: no certs/ beside it."""
    directory = tmp_path / "project"
    shutil.copytree(ADDON.parent, directory / "addons", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def test_the_addon_makes_a_constrained_authority_and_mitmproxy_makes_none(project: Path, tmp_path: Path) -> None:
    """Without ensure() before confdir is set, mitmproxy's own, for every host, lay in certs/ or ~/.mitmproxy."""
    home = tmp_path / "home"
    home.mkdir()
    with Mitmdump(home, project / "addons" / ADDON.name, options={"confdir": None}) as proxy:
        pass
    assert not (home / ".mitmproxy" / "mitmproxy-ca.pem").exists()
    assert _is_constrained(project / "certs" / "mitmproxy-ca-cert.pem")
    assert stat.S_IMODE((project / "certs" / "mitmproxy-ca.pem").stat().st_mode) == 0o600
    assert f"Set, because nobody else did: upstream_cert=false, http2=false, confdir={project / 'certs'}" in proxy.log()
    assert "certificate authority for these hosts only" in proxy.log()


def test_in_a_confdir_without_an_authority_the_constrained_one_replaces_mitmproxys(tmp_path: Path) -> None:
    """Mitmproxy makes its own while it reads `--set confdir=`, before any script is loaded."""
    with Mitmdump(tmp_path) as proxy:
        assert _is_constrained(proxy.certificate)
    assert sorted(path.name for path in proxy.confdir.glob("mitmproxy-ca*")) == [
        "mitmproxy-ca-cert.pem",
        "mitmproxy-ca.pem",
    ]
    assert "FOR EVERY HOST" not in proxy.log()


def test_an_authority_for_every_host_that_was_there_before_is_kept_and_told_of(tmp_path: Path) -> None:
    with Mitmdump(tmp_path, Path(__file__).with_name("harness") / "nothing.py") as stock:
        made = stock.certificate.read_bytes()
    with Mitmdump(tmp_path) as proxy:
        assert proxy.certificate.read_bytes() == made
        assert proxy.log().count("can vouch for every host there is") == 1
        assert "certificate authority FOR EVERY HOST" in proxy.log()


def test_the_proxy_listens_on_loopback_only(tmp_path: Path) -> None:
    """Without rebind() it listened on every interface: mitmproxy reads listen_host before it loads scripts."""
    with Mitmdump(tmp_path, options={"listen_host": None}) as proxy:
        assert proxy.logged(f"listening at 127.0.0.1:{proxy.port}")
        with pytest.raises(OSError, match=r".*"), socket.create_connection(("127.0.0.2", proxy.port), timeout=5):
            pass
        assert proxy.local("/ready")["addon"] == "foundry_compress"


def test_what_the_user_sets_stands(tmp_path: Path) -> None:
    options = {"upstream_cert": "true", "http2": "true", "listen_host": "127.0.0.2"}
    proxy = Mitmdump(tmp_path, options=options)
    with proxy.launched():
        assert proxy.logged(f"listening at 127.0.0.2:{proxy.port}", 120)
        assert proxy.logged("mode balanced", 120)
    assert "Set, because nobody else did" not in proxy.log()
