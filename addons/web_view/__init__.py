"""What users of mitmweb and of mitmproxy's console see of our work, and what they can ask.

`pairs` keeps bodies as they came and as they went, for as long as there is room, and only where somebody can look.
`results` finds the tool results in them, `rewrite_view` and `conversation_view` write them for a person, `marks` says
in a flow's own comment what was done, and `commands` adds mitmproxy commands. Nothing here changes a request.
"""

from web_view.commands import Commands
from web_view.web_view import WebView

__all__ = ["Commands", "WebView"]
