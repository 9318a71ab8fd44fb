"""What users of mitmweb and of mitmproxy's console see of our work, and what they can ask.

`pairs` keeps bodies as they came and as they went, for as long as there is room, and only where somebody can look.
`results` finds the tool results in them, and `rewrite_view` shows each with its `difference`; `conversation_view` shows
the `transcript` of any request. `marks` says in a flow's own comment what was done. `commands` adds mitmproxy commands,
one of which is to `export` a request into a file. `flow_bound` gives up the oldest flows. No request is changed here.
"""

from web_view.commands import Commands
from web_view.flow_bound import FlowBound
from web_view.web_view import WebView

__all__ = ["Commands", "FlowBound", "WebView"]
