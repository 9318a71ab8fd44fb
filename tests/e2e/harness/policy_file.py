"""A mitmproxy script that stands before the addon: the company policy is at $POLICY_FILE, whose place is fixed."""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "addons"))

from configuring import company_policy

company_policy.POLICY_FILE = Path(os.environ["POLICY_FILE"])
