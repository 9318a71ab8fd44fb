"""A mitmproxy script that has the addon wait for others however long they are held up: it stands before the addon.

A process that is stopped while it writes to the file, or a server that is stopped, is otherwise given up in a moment:
then a prompt cache may break that both would have kept.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3] / "addons"))

from conversations import redis_store, sqlite_store

sqlite_store._LOCK_SECONDS = 60.0
redis_store._ANSWER_SECONDS = redis_store._CONNECT_SECONDS = 60.0
