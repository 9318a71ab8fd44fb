"""The site at `http://foundry.local/`, inside the proxy, for people and programs on its machine.

`Live` keeps what is shown, `Site` answers requests, and `Model` is what the site asks of the addon around it. `page`,
`chart` and `metrics` write what is shown, `access` says who may ask, and `documents` reads JSON that others made.
"""

from __future__ import annotations

from local_site.access import HOST, forbid_connect, is_local_host
from local_site.live import Live, Point
from local_site.site import Model, Site

__all__ = ["HOST", "Live", "Model", "Point", "Site", "forbid_connect", "is_local_host"]
