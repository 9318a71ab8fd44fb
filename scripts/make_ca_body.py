"""Make this machine's certificate authority, or show the one that is there. The body of scripts/make_ca."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "addons"))

from connecting import certificate_authority  # noqa: E402 (the path comes first)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(
        prog="make_ca",
        description="Makes the certificate authority that lets mitmproxy read this machine's traffic with Foundry, and "
        "no other traffic. Run again, it shows what is there. certs/README.md says what trusting it means.",
        epilog="Nothing is installed: programs trust it where NODE_EXTRA_CA_CERTS or the like names its certificate.",
    )
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="a gateway's host name to permit beside Foundry's own")
    parser.add_argument(
        "--directory", type=Path, default=PROJECT / "certs", help="where it lies (default: %(default)s)"
    )
    parser.add_argument("--new", action="store_true", help="forget the old key, and permit the hosts named now only")
    options = parser.parse_args(arguments)
    make = certificate_authority.create if options.new else certificate_authority.ensure
    try:
        authority = make(options.directory, options.hosts)
    except certificate_authority.AuthorityError as error:
        print(f"make_ca: {error}", file=sys.stderr)
        return 2
    if authority.notice:
        print(f"make_ca: {authority.notice}", file=sys.stderr)
    print(f"certificate  {authority.certificate_path}{'  (made just now)' if authority.created else ''}")
    print(f"vouches for  {', '.join(authority.permitted) or 'every host there is: it is not constrained'}")
    print(f"until        {authority.expires:%Y-%m-%d}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
