"""A key directory with a bit of everything, for pictures and for a look at all parts of the page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support import certificate_pem, certify, key, public_pem

LONG = "a" * 180


def furnish(directory: Path) -> None:
    """Fill a directory: keys in each stage but retiring, files with most verdicts, a fault, hostile names."""
    now = datetime.now(UTC)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "2026-09.pem").write_bytes(public_pem(key("RSA")))
    (directory / "2026-10.pem").write_bytes(public_pem(key("RSA", 1)))
    (directory / "2026-11.pem").write_bytes(public_pem(key("RSA", 2)))
    (directory / "2027-01.pem").write_bytes(public_pem(key("RSA", 3)))
    (directory / "backup-of-2026-11.pem").write_bytes(public_pem(key("RSA", 2)))
    (directory / "legacy.pem").write_bytes(public_pem(key("RSA-1024")))
    (directory / "jwks.toml").write_text(
        f'[keys."2026-10.pem"]\nremove_at = {now + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}\n'
        f'[keys."2027-01.pem"]\npublish_at = {now + timedelta(days=20):%Y-%m-%dT%H:%M:%SZ}\n'
    )
    acme = directory / "acme"
    acme.mkdir()
    (acme / "token.pem").write_bytes(public_pem(key("RSA", 4)))
    (acme / "tls.pem").write_bytes(certificate_pem(certify(key("P-256"), days=(-80, 10))))
    globex = directory / "globex"
    globex.mkdir()
    (globex / "token.pem").write_bytes(public_pem(key("RSA", 5)))
    (globex / "jwks.toml").write_text("[keys\n")


def misname(directory: Path) -> None:
    """Add names that hold markup, or are very long."""
    acme = directory / "initech"
    acme.mkdir(parents=True)
    policy = []
    for number, name in enumerate(("<img src=x onerror=alert(1)>", '"><script>alert(1)<', LONG)):
        (acme / f"{name}.pem").write_bytes(public_pem(key("P-256", number)))
        (acme / f"{name}-bad.pem").write_bytes(b"nonsense")
        policy.append(f"[keys.'{name}.pem']\nkid = '{name}'\n[keys.'{name}']\nalg = 'ES256'\n")
        (directory / name).mkdir()
        (directory / name / "a.pem").write_bytes(public_pem(key("P-256", number)))
    (acme / "jwks.toml").write_text("".join(policy))
